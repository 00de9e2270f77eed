// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "collectors/mechanism.h"

namespace ipcscope {

/// io_uring instances.
extern const MechanismEntry io_uring_mechanism;

}  // namespace ipcscope
