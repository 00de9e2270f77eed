// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <vector>

#include "collectors/base/proc_root.h"
#include "collectors/model/snapshot.h"

namespace ipcscope {

/// Whether a thread has run since a snapshot saw it.
enum class Motion : uint8_t {
  still,    ///< its context switches, or else its system call and arguments, are the same
  moved,    ///< or has ended
  unknown,  ///< it cannot be looked at any more
};

/// Looks at one thread of a snapshot again. A thread that has not been switched since cannot have
/// gone on to another wait. Sources: voluntary_ctxt_switches and nonvoluntary_ctxt_switches of
/// /proc/PID/task/TID/status, and /proc/PID/task/TID/syscall (proc(5)).
Motion look_again(const ProcRoot& proc, const Snapshot& snapshot, const Thread& thread);

}  // namespace ipcscope
