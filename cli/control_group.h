// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <string>

#include "collectors/base/result.h"

namespace ipcscope {

/// The identifier of a control group (version 2), given as its directory below /sys/fs/cgroup with
/// or without that front. An error is one line for the user.
Result<uint64_t> control_group_id(const std::string& path);

}  // namespace ipcscope
