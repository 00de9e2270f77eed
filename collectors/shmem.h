// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "collectors/mechanism.h"

namespace ipcscope {

/// POSIX shared memory objects and named semaphores, memfds, and files or anonymous memory that
/// processes share by mapping them.
extern const MechanismEntry shmem_mechanism;

}  // namespace ipcscope
