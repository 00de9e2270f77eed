// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <string>

#include "collectors/base/result.h"

namespace ipcscope {

struct ControlGroup {
  uint64_t id = 0;
  uint32_t level = 0;  ///< how far below the root of the hierarchy
};

/// A control group (version 2), given as its directory below /sys/fs/cgroup with or without that
/// front. An error is one line for the user.
Result<ControlGroup> find_control_group(const std::string& path);
/// Its identifier alone.
Result<uint64_t> control_group_id(const std::string& path);

}  // namespace ipcscope
