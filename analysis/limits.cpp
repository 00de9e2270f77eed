// SPDX-License-Identifier: GPL-2.0-or-later
#include "analysis/limits.h"

namespace ipcscope {

std::optional<unsigned> limit_percent(const LimitUse& use) {
  if (!use.used || !use.limit || *use.limit == 0) {
    return std::nullopt;
  }
  return static_cast<unsigned>(*use.used * 100 / *use.limit);
}

std::vector<Finding> near_limits(const std::vector<LimitUse>& /*uses*/) { return {}; }

}  // namespace ipcscope
