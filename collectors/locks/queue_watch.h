// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <array>
#include <chrono>
#include <cstdint>

#include "bpf/locks.h"
#include "collectors/locks/lock_names.h"
#include "collectors/locks/lock_program.h"

namespace ipcscope {

/// Looks at queues of messages for one that stays while others are taken past it.
class QueueWatch {
 public:
  struct Seen {
    lock_key key{};
    uint64_t oldest = 0, other = 0;  ///< addresses of messages at the last look
    uint64_t taken = 0;              ///< waits for room that ended: a message was taken each time
    uint64_t stayed = 0;             ///< looks in a row at which the oldest was the same
    uint64_t passed = 0;             ///< of these, those at which another one went past it
    uint64_t most_stayed = 0;        ///< of the longest such row, with what passed
    uint64_t most_passed = 0;
  };
  /// Watches a lock that is a queue; the first QUEUE_LOOKS of them.
  void add(const lock_program& program, const lock_key& key, const lock_value& value);
  void look(const lock_program& program);
  void forget_counts();
  [[nodiscard]] bool empty() const { return count_ == 0; }
  [[nodiscard]] const Seen* begin() const { return seen_.data(); }
  [[nodiscard]] const Seen* end() const { return seen_.data() + count_; }

 private:
  std::array<Seen, QUEUE_LOOKS> seen_{};
  size_t count_ = 0;
  std::chrono::steady_clock::time_point next_{};
};

}  // namespace ipcscope
