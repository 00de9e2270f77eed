// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "collectors/mechanism.h"

namespace ipcscope {

/// eventfd counters.
extern const MechanismEntry eventfd_mechanism;

}  // namespace ipcscope
