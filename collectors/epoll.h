// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "collectors/mechanism.h"

namespace ipcscope {

/// epoll instances, with what they watch. Its line must come after all that make channels: finish()
/// looks up the watched files among their endpoints.
extern const MechanismEntry epoll_mechanism;

}  // namespace ipcscope
