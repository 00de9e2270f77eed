// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "collectors/model/duration.h"

namespace ipcscope {

/// Appends "512", "4.0K", "64K", "1.5G": powers of 1024, at most four characters.
void append_bytes(std::string& out, uint64_t bytes);
/// Hundredths of used in limit: 0 only when nothing is used, 100 only when it is full.
unsigned percent(uint64_t used, uint64_t limit);
/// "SIGINT", "SIGRTMIN+3", "signal 77".
std::string signal_name(int number);
/// "1,234"
std::string grouped(uint64_t number);
/// RFC 3339 in UTC with milliseconds.
std::string time_text(int64_t realtime_ns);

/// Appends "41s", or with a sign before it when it may be more; nothing when it is unknown.
void append_since(std::string& out, const Since& since, bool utf8);

/// User names by uid, asked for once each: behind getpwuid may be a server.
class UserNames {
 public:
  /// The name, or the number where it has none. Raw bytes. Valid as long as this object.
  std::string_view name(uid_t uid);

 private:
  std::unordered_map<uid_t, std::string> names_;
};

}  // namespace ipcscope
