// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "collectors/mechanism.h"

namespace ipcscope {

/// Locks on files: flock(), fcntl() of processes and of open file descriptions, leases.
extern const MechanismEntry filelock_mechanism;

}  // namespace ipcscope
