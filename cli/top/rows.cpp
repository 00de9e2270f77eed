// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/top/rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "cli/render/locks.h"
#include "cli/render/text.h"
#include "cli/top/channel_rows.h"
#include "cli/top/finding_rows.h"
#include "cli/top/limit_rows.h"
#include "cli/top/lock_rows.h"
#include "cli/top/process_rows.h"

namespace ipcscope {

namespace {

constexpr std::array<std::string_view, tab_count> names = {"channels", "locks", "processes",
                                                           "findings", "limits"};

}  // namespace

std::string_view tab_name(Tab tab) { return names[static_cast<size_t>(tab)]; }

std::optional<Tab> tab_from_name(std::string_view name) {
  const auto* const found = std::find(names.begin(), names.end(), name);
  return found != names.end() ? std::optional(static_cast<Tab>(found - names.begin()))
                              : std::nullopt;
}

uint32_t Rows::find(std::string_view wanted) const {
  for (uint32_t i = 0; i < size(); i++) {
    if (identity(i) == wanted) {
      return i;
    }
  }
  return no_index;
}

std::vector<uint32_t> Rows::changing() const {
  std::vector<uint32_t> all(size());
  std::iota(all.begin(), all.end(), uint32_t{0});
  return all;
}

std::unique_ptr<Rows> make_rows(const TopFrame& frame, Tab tab, EscapeStyle style) {
  switch (tab) {
    case Tab::locks:
      return make_lock_rows(frame, style);
    case Tab::processes:
      return make_process_rows(frame, style);
    case Tab::findings:
      return make_finding_rows(frame, style);
    case Tab::limits:
      return make_limit_rows(frame, style);
    case Tab::channels:
    case Tab::count:
      break;
  }
  return make_channel_rows(frame, style);
}

std::span<const RowColumn> columns_of(Tab tab) {
  switch (tab) {
    case Tab::locks:
      return lock_columns();
    case Tab::processes:
      return process_columns();
    case Tab::findings:
      return finding_columns();
    case Tab::limits:
      return limit_columns();
    case Tab::channels:
    case Tab::count:
      break;
  }
  return channel_columns();
}

std::string rate_text(const std::optional<double>& per_second) {
  if (!per_second) {
    return "-";
  }
  // Two digits say enough of what happens less than ten times a second.
  constexpr double tenths_below = 9.95;
  if (*per_second > 0 && *per_second < tenths_below) {
    return fmt::format("{:.1f}", std::max(*per_second, 0.1));
  }
  return short_count(static_cast<uint64_t>(std::llround(*per_second)));
}

std::string bytes_rate_text(const std::optional<double>& per_second) {
  if (!per_second) {
    return "-";
  }
  std::string text;
  // Something is not nothing.
  append_bytes(text, static_cast<uint64_t>(*per_second > 0 ? std::max(*per_second + 0.5, 1.0)
                                                           : *per_second));
  return text;
}

std::string bar_text(const std::optional<unsigned>& percent, size_t width) {
  constexpr size_t digits = 4;  // "100%"
  if (!percent) {
    return "-";
  }
  const size_t cells = width > digits ? width - digits : 0;
  const size_t full = std::min<size_t>((*percent * cells + 99) / 100, cells);
  return std::string(full, '|') + std::string(cells - full, ' ') +
         fmt::format("{:>{}}", fmt::format("{}%", *percent), digits);
}

}  // namespace ipcscope
