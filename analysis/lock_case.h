// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <vector>

#include "analysis/lock_rules.h"
#include "analysis/lock_use.h"

namespace ipcscope {

/// One lock as the rules look at it.
struct LockCase {
  const LockWindow& window;
  const LockUse& lock;
  const LockThresholds& thresholds;
  std::vector<LockWaiter> waiters;
  std::vector<LockHolder> holders;

  [[nodiscard]] std::string name(uint32_t thread) const {
    return thread < window.threads.size() ? thread_text(window.threads[thread]) : "unknown";
  }
  /// Of the first so many, and how many others there are.
  [[nodiscard]] std::string names(const std::vector<uint32_t>& threads) const;
  /// "a[1] 61%, b[2] 30%", or who stands in for a holder; empty when none is known.
  [[nodiscard]] std::string holders_text() const;
  /// With the lock's identifier, and these threads as those that it is about.
  [[nodiscard]] Finding finding(const char* rule, Severity severity,
                                const std::vector<uint32_t>& threads) const;
  /// Hundredths of the window, rounded.
  [[nodiscard]] double percent_of_window(uint64_t ns) const;
};

/// "1 wait", "2 waits"
std::string count_of(uint64_t count, const char* noun);

/// Each adds what it finds.
using LockRule = void(const LockCase&, std::vector<Finding>&);
LockRule find_contention;          // lock_contention.cpp
LockRule find_convoy;              // lock_contention.cpp
LockRule find_imbalance;           // lock_contention.cpp
LockRule find_starvation;          // lock_fairness.cpp
LockRule find_writer_starvation;   // lock_fairness.cpp
LockRule find_message_starvation;  // lock_fairness.cpp
LockRule find_dead_owner;          // lock_wakeup.cpp
LockRule find_lost_wakeup;         // lock_wakeup.cpp

}  // namespace ipcscope
