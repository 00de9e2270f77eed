// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "collectors/mechanism.h"

namespace ipcscope {

/// pidfds: one channel for each process that one or more of them refer to.
extern const MechanismEntry pidfd_mechanism;

}  // namespace ipcscope
