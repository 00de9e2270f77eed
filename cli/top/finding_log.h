// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "cli/top/frame.h"

namespace ipcscope {

/// The findings of several sources, each of which is asked at its own pace.
class FindingLog {
 public:
  /// What a source found at now_ns (CLOCK_BOOTTIME) takes the place of what it found before. A
  /// finding that was there already keeps the time at which it was first seen; one that is not
  /// there any more goes, but stays for linger_ns where the source looks at short times only.
  void take(std::string_view source, std::vector<LiveFinding> found, int64_t now_ns,
            int64_t linger_ns = 0);
  /// The gravest first.
  [[nodiscard]] std::vector<LiveFinding> all() const;

 private:
  struct Entry {
    LiveFinding live;
    int64_t last_seen_ns = 0;
  };
  std::vector<Entry> entries_;
};

}  // namespace ipcscope
