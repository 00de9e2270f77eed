// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "collectors/model/snapshot.h"

namespace ipcscope {

/// Appends "340ms", "41s", "5m12s", "3h12m", "2d4h".
void append_duration(std::string& out, uint64_t milliseconds);
/// Appends "850ns", "1.2us", "340us", "41ms", and from a second on as append_duration() does: at
/// most five characters up to 99 days.
void append_nanoseconds(std::string& out, uint64_t nanoseconds);
std::string nanoseconds_text(uint64_t nanoseconds);

/// How long a thread has been blocked, as far as its source can tell.
struct Since {
  std::optional<uint64_t> milliseconds;
  bool exact = false;  ///< false: it may be more
};
Since since(const Thread& thread);

}  // namespace ipcscope
