// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "collectors/mechanism.h"

namespace ipcscope {

/// Pseudoterminal pairs.
extern const MechanismEntry pty_mechanism;

}  // namespace ipcscope
