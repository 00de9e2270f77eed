// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "collectors/locks/lock_names.h"

namespace ipcscope {

/// Looks at rwlocks while a writer waits for readers, or readers wait for writers: who comes and
/// goes meanwhile, and does not wait itself, leaves no trace at the scheduler.
class RwlockWatch {
 public:
  struct Seen {
    lock_key key{};
    int32_t pid = 0;
    uint64_t address = 0;  ///< the word at which readers, and the first writer, wait
    uint64_t looks = 0;    ///< at which a writer waited for readers
    uint64_t changed = 0;  ///< of these, with another number of readers than at the one before
    uint32_t readers = 0;  ///< at the last look
    /// Of all spans of looks at which readers waited for writers, the one with the most writers
    /// that had the lock again, after another one, and how long it lasted.
    uint64_t returned = 0, kept_ns = 0;
    std::vector<uint32_t> writers;  ///< of the present span; the last one last
    uint64_t returned_now = 0;
    std::chrono::steady_clock::time_point begin{};
    bool other_word =
        false;  ///< that at which writers wait for a writer: nothing can be told there
  };
  /// Watches a lock; at most 32 of them.
  void add(const lock_key& key, const LockIdentity& lock);
  void look();
  void forget_counts();
  [[nodiscard]] const std::vector<Seen>& seen() const { return seen_; }
  [[nodiscard]] bool empty() const { return seen_.empty(); }

 private:
  static void look_at_readers(Seen& each, uint32_t word);
  static void look_at_writers(Seen& each, uint32_t word, uint32_t writer);

  std::vector<Seen> seen_;
};

}  // namespace ipcscope
