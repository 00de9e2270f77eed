// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "collectors/mechanism.h"

namespace ipcscope {

/// inotify instances.
extern const MechanismEntry inotify_mechanism;

}  // namespace ipcscope
