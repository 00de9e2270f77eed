// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/top/rows.h"

namespace ipcscope {

/// A row that is to be told in full.
struct WantedDetail {
  Tab tab = Tab::channels;
  std::string identity;
  size_t width = 80;  ///< cells
  bool operator==(const WantedDetail&) const = default;
};

/// What somebody looks at, so that nothing else is measured.
struct Wanted {
  Tab tab = Tab::channels;
  bool every_tab = false;
  uint64_t interval_ns = 1'000'000'000;
  bool paused = false;
  std::vector<int32_t> pids;  ///< processes of the rows on the screen: to be looked at anew
  std::optional<WantedDetail> detail;
  bool operator==(const Wanted&) const = default;

  [[nodiscard]] bool wants(Tab which) const { return every_tab || tab == which; }
};

}  // namespace ipcscope
