// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "collectors/mechanism.h"

namespace ipcscope {

/// timerfd files.
extern const MechanismEntry timerfd_mechanism;

}  // namespace ipcscope
