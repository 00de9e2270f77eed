// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "collectors/model/lock_window.h"

namespace ipcscope {

/// One thread at one lock: the sum over those behind whom it waited.
struct LockWaiter {
  uint32_t thread = no_index;  ///< into LockWindow::threads
  uint64_t waits = 0;
  uint64_t unfinished = 0;
  uint64_t wait_ns = 0;
  uint64_t max_ns = 0;
  uint64_t overtakes = 0;
  uint64_t overtakes_max = 0;  ///< of one attempt
  uint64_t attempts = 0;
  uint64_t attempt_max_ns = 0;
  uint64_t read_max_ns = 0;  ///< as LockPair has it
  [[nodiscard]] uint64_t attempt_mean_ns() const {
    return attempts != 0 ? wait_ns / attempts : wait_ns;
  }
};

/// One thread behind which others waited at one lock.
struct LockHolder {
  uint32_t thread = no_index;
  HolderSource source = HolderSource::unknown;
  uint64_t waits = 0;
  uint64_t wait_ns = 0;
  uint64_t waiters = 0;  ///< threads
  double share = 0;      ///< 0 to 1, of all the time that was waited there
};

/// The longest wait first.
std::vector<LockWaiter> waiters_of(const LockUse& lock);
/// The largest share first. Without what is not known, so the shares may add up to less than 1.
std::vector<LockHolder> holders_of(const LockUse& lock);

std::optional<uint64_t> fact_of(const LockUse& lock, std::string_view key);
/// Waits that a wake-up ended.
uint64_t woken_waits(const LockUse& lock);

/// ns; share: 0 to 1. Never more than the longest wait, as interpolation alone might be.
uint64_t percentile_of(const LockUse& lock, double share);

/// The sum over all threads; its longest hold is the longest of any. Nothing where takings were not
/// seen.
LockHold all_holds(const LockUse& lock);
/// As percentile_of(), of how long it was held.
uint64_t held_percentile(const LockUse& lock, double share);

/// Whether a semaphore counts work instead of guarding something: who posts it does not wait there.
/// Its waiters are idle.
bool hands_out_work(const LockUse& lock);
/// Whether its waits are in somebody's way. Those for data and events rarely are: a server waits
/// for work.
bool is_in_the_way(const LockUse& lock);

/// "worker[812/815]", "worker[812]" for the leader; raw bytes.
std::string thread_text(const LockThread& thread);
/// "mutex queue_lock (futex:812:0x...)"; raw bytes.
std::string lock_text(const LockUse& lock);

}  // namespace ipcscope
