// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "collectors/locks/lock_names.h"

namespace ipcscope {

/// Looks at the readers of rwlocks while a writer waits for them: readers that come and go leave no
/// trace at the scheduler.
class RwlockWatch {
 public:
  struct Seen {
    lock_key key;
    int32_t pid;
    uint64_t address;      ///< the word at which the writer waits
    uint64_t looks = 0;    ///< at which a writer waited for readers
    uint64_t changed = 0;  ///< of these, with another number of readers than at the one before
    uint32_t readers = 0;  ///< at the last look
  };
  /// Watches a lock; at most 32 of them.
  void add(const lock_key& key, const LockIdentity& lock);
  void look();
  void forget_counts();
  [[nodiscard]] const std::vector<Seen>& seen() const { return seen_; }
  [[nodiscard]] bool empty() const { return seen_.empty(); }

 private:
  std::vector<Seen> seen_;
};

}  // namespace ipcscope
