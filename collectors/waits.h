// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "collectors/mechanism.h"

namespace ipcscope {

/// Futex channels, and what each blocked thread waits for. Must be the last of the table: it looks
/// up the channels and descriptors that the others have made.
extern const MechanismEntry waits_mechanism;

}  // namespace ipcscope
