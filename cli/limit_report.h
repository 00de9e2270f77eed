// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "analysis/limits.h"
#include "collectors/model/snapshot.h"

namespace ipcscope {

/// What `limits` found.
struct LimitReport {
  const Snapshot& snapshot;
  std::vector<LimitUse> uses;     ///< the nearest first
  std::vector<Finding> findings;  ///< of those that are near, in their order
  std::vector<size_t> shown;      ///< indexes into uses: what is worth a line for a person
  [[nodiscard]] size_t count(Severity severity) const;
};

/// all: every line. Else those that are near; of each other limit that is used the nearest, where
/// that is 1 % or more, and a few where there is hardly any. about_process: of such a process, what
/// it or its user uses at all.
std::vector<size_t> choose_limits(const std::vector<LimitUse>& uses, bool all, bool about_process);

}  // namespace ipcscope
