// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <vector>

#include "collectors/base/proc_root.h"
#include "collectors/base/result.h"

namespace ipcscope {

/// Processes that a hardened kernel keeps from BPF, though /proc shows them: neither iterators nor
/// tracepoints tell of them.
struct HiddenProcesses {
  size_t checked = 0;
  std::vector<pid_t> hidden;  ///< ascending
};

/// program: descriptor of a BPF iterator over tasks that writes the number of each process as a
/// u32, in ipcscope's PID namespace. Who comes or goes meanwhile is left out.
Result<HiddenProcesses> hidden_processes(const ProcRoot& proc, int program);

}  // namespace ipcscope
