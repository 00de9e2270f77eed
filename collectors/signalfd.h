// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "collectors/mechanism.h"

namespace ipcscope {

/// signalfd files.
extern const MechanismEntry signalfd_mechanism;

}  // namespace ipcscope
