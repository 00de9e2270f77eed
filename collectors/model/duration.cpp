// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/model/duration.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace ipcscope {

void append_duration(std::string& out, uint64_t milliseconds) {
  const auto to = std::back_inserter(out);
  const uint64_t seconds = milliseconds / 1000;
  if (milliseconds < 1000) {
    fmt::format_to(to, "{}ms", milliseconds);
  } else if (milliseconds < 10'000) {
    fmt::format_to(to, "{}.{}s", seconds, milliseconds % 1000 / 100);
  } else if (seconds < 60) {
    fmt::format_to(to, "{}s", seconds);
  } else if (seconds < 3600) {
    fmt::format_to(to, "{}m{:02}s", seconds / 60, seconds % 60);
  } else if (seconds < 86400) {
    fmt::format_to(to, "{}h{:02}m", seconds / 3600, seconds % 3600 / 60);
  } else {
    fmt::format_to(to, "{}d{}h", seconds / 86400, seconds % 86400 / 3600);
  }
}

void append_nanoseconds(std::string& out, uint64_t nanoseconds) {
  const auto to = std::back_inserter(out);
  if (nanoseconds < 1000) {
    fmt::format_to(to, "{}ns", nanoseconds);
    return;
  }
  auto value = static_cast<double>(nanoseconds) / 1000;
  for (const char* unit : {"us", "ms"}) {
    if (value < 9.95) {
      fmt::format_to(to, "{:.1f}{}", value, unit);
      return;
    }
    if (value < 999.5) {  // above, it would print as 1000
      fmt::format_to(to, "{:.0f}{}", value, unit);
      return;
    }
    value /= 1000;
  }
  append_duration(out, std::max(nanoseconds / 1'000'000, uint64_t{1000}));
}

std::string nanoseconds_text(uint64_t nanoseconds) {
  std::string text;
  append_nanoseconds(text, nanoseconds);
  return text;
}

Since since(const Thread& thread) {
  constexpr uint64_t noticeable_ns = 100'000'000;
  if (!thread.blocked_ns) {
    return {};
  }
  const uint64_t least = *thread.blocked_ns;
  bool exact = false;
  if (thread.last_run_ns) {
    const uint64_t most = std::max(*thread.last_run_ns, least);
    exact = most - least <= noticeable_ns || most - least <= least / 10;
  }
  return {least / 1'000'000, exact};
}

}  // namespace ipcscope
