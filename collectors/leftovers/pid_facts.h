// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string_view>
#include <vector>

#include "collectors/base/proc_root.h"
#include "collectors/model/leftovers.h"

namespace ipcscope {

/// Asks for every process that a System V object, a lock file or an instance remembers and the
/// snapshot has not whether there is one; fills pids.
void find_pids(const Snapshot& snapshot, const ProcRoot& proc, Leftovers& leftovers);

/// The processes in the attribute "semaphores" of a set; adds to pids.
void add_semaphore_pids(std::string_view json, std::vector<int32_t>& pids);

}  // namespace ipcscope
