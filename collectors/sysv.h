// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "collectors/mechanism.h"

namespace ipcscope {

/// System V shared memory, semaphore sets and message queues of every IPC namespace that a process
/// lives in.
extern const MechanismEntry sysv_mechanism;

}  // namespace ipcscope
