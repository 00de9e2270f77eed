// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "collectors/mechanism.h"

namespace ipcscope {

/// Anonymous pipes and FIFOs.
extern const MechanismEntry pipe_mechanism;

}  // namespace ipcscope
