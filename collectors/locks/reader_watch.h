// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <cstdint>
#include <utility>
#include <vector>

#include "collectors/base/proc_root.h"
#include "collectors/locks/lock_names.h"

namespace ipcscope {

/// Looks at the threads that make room in channels: how often they sleep without waiting for data.
class ReaderWatch {
 public:
  struct Seen {
    lock_key key{};
    int32_t tid = 0;
    uint64_t waits = 0;  ///< that it ended, when it was chosen
    uint64_t looks = 0;
    uint64_t asleep = 0;  ///< of these, asleep elsewhere
  };
  explicit ReaderWatch(const ProcRoot& proc) : proc_(proc) {}

  /// Chooses the thread that ended the most waits at each lock for room; at most 16 locks. Counts
  /// of threads that stay are kept.
  void choose(const std::vector<std::pair<pair_key, pair_value>>& pairs);
  void look();
  void forget_counts();
  [[nodiscard]] const std::vector<Seen>& seen() const { return seen_; }
  [[nodiscard]] bool empty() const { return seen_.empty(); }

 private:
  const ProcRoot& proc_;
  std::vector<Seen> seen_;
};

}  // namespace ipcscope
