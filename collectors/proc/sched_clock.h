// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <sched.h>

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "collectors/base/proc_root.h"

namespace ipcscope {

/// What time it is on the scheduler's clock_task of each CPU, in which se.exec_start is told. That
/// clock stands still while the CPU is stolen by a hypervisor or handles interrupts, so it runs
/// behind every other clock, on each CPU by a different amount. A thread of our own visits each CPU
/// that we may use anyway: its own exec_start is the time there. What it tells is always a moment
/// in the past, so a difference from it is a lower bound.
class SchedClock {
 public:
  explicit SchedClock(const ProcRoot& root);
  ~SchedClock();
  SchedClock(const SchedClock&) = delete;
  SchedClock& operator=(const SchedClock&) = delete;

  /// Not later than the present on that CPU, in ns, and hardly more than 0.1 s earlier; nothing
  /// for a CPU that we may not use, or where our thread did not get its turn.
  [[nodiscard]] std::optional<uint64_t> now(int cpu) const;

 private:
  void run();
  bool visit(int cpu);
  void set_free() const;

  const ProcRoot& root_;
  cpu_set_t allowed_{};
  std::unique_ptr<std::atomic<uint64_t>[]> times_;  // by CPU, 0: unknown
  std::atomic<int> visitor_{0};                     // its thread id
  std::mutex lock_;
  std::condition_variable changed_;
  bool first_round_done_ = false;
  bool stop_ = false;
  bool finished_ = false;
  std::atomic<bool> stopping_{false};  // stop_ without the lock
  std::thread thread_;
};

}  // namespace ipcscope
