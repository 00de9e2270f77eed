// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "collectors/base/proc_root.h"
#include "collectors/model/leftovers.h"
#include "collectors/request.h"

namespace ipcscope {

/// Asks the host what `leaks` must know of the objects in snapshot, and looks for socket paths,
/// FIFOs and lock files in the directories where programs leave them. What could not be seen is
/// added to coverage. Nothing is changed on the host.
///
/// source proc: BPF is not asked, and what only it can tell stays unknown.
Leftovers find_leftovers(const Snapshot& snapshot, const ProcRoot& proc, SourceChoice source,
                         std::vector<Coverage>& coverage);

}  // namespace ipcscope
