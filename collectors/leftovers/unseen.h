// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <vector>

#include "collectors/base/proc_root.h"
#include "collectors/model/leftovers.h"

namespace ipcscope {

/// Counts what the snapshot cannot have seen: unseen, processes_outside.
/// The processes that /proc has and the snapshot has not, in the order of /proc; those that began
/// after it are left out.
std::vector<int> find_unseen(const Snapshot& snapshot, const ProcRoot& proc, Leftovers& leftovers);

}  // namespace ipcscope
