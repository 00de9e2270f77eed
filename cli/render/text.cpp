// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/render/text.h"

#include <fmt/format.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include <algorithm>
#include <iterator>

namespace ipcscope {

void append_bytes(std::string& out, uint64_t bytes) {
  if (bytes < 1024) {
    fmt::format_to(std::back_inserter(out), "{}", bytes);
    return;
  }
  static constexpr std::string_view units = "KMGTPE";
  auto value = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  // 1023.5K would print as 1024K.
  while (value >= 1023.5 && unit + 1 < units.size()) {
    value /= 1024;
    unit++;
  }
  if (value < 9.95) {
    fmt::format_to(std::back_inserter(out), "{:.1f}{}", value, units[unit]);
  } else {
    fmt::format_to(std::back_inserter(out), "{:.0f}{}", value, units[unit]);
  }
}

unsigned percent(uint64_t used, uint64_t limit) {
  if (used == 0) {
    return 0;
  }
  if (limit == 0) {
    return 100;
  }
  const double share = static_cast<double>(used) / static_cast<double>(limit) * 100;
  if (used >= limit) {
    // A queue can hold more than its limit: the last message is accepted whole.
    return static_cast<unsigned>(std::min(share, 999.0));
  }
  return std::clamp(static_cast<unsigned>(share), 1U, 99U);
}

std::string signal_name(int number) {
  if (const char* name = ::sigabbrev_np(number)) {
    return fmt::format("SIG{}", name);
  }
  if (number >= SIGRTMIN && number <= SIGRTMAX) {
    return number == SIGRTMIN ? "SIGRTMIN" : fmt::format("SIGRTMIN+{}", number - SIGRTMIN);
  }
  return fmt::format("signal {}", number);
}

std::string grouped(uint64_t number) {
  std::string digits = std::to_string(number);
  for (size_t at = digits.size(); at > 3; at -= 3) {
    digits.insert(at - 3, 1, ',');
  }
  return digits;
}

std::string time_text(int64_t realtime_ns) {
  const time_t seconds = realtime_ns / 1'000'000'000;
  tm parts{};
  ::gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900,
                     parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                     realtime_ns / 1'000'000 % 1000);
}

void append_since(std::string& out, const Since& since, bool utf8) {
  if (!since.milliseconds) {
    return;
  }
  if (!since.exact) {
    out += utf8 ? "≥" : ">=";
  }
  append_duration(out, *since.milliseconds);
}

std::string_view UserNames::name(uid_t uid) {
  const auto [entry, is_new] = names_.try_emplace(uid);
  if (is_new) {
    const passwd* user = ::getpwuid(uid);
    entry->second = user != nullptr ? user->pw_name : std::to_string(uid);
  }
  return entry->second;
}

}  // namespace ipcscope
