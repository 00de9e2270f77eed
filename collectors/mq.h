// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "collectors/mechanism.h"

namespace ipcscope {

/// POSIX message queues, those that no process has open included.
extern const MechanismEntry mq_mechanism;

}  // namespace ipcscope
