// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "cli/top/sampler.h"
#include "cli/top/wanted.h"
#include "collectors/base/fd.h"

namespace ipcscope {

/// Makes frames in a thread of its own, so that keys are answered whatever a look at the host
/// takes.
class Worker {
 public:
  /// Signals must be blocked in the calling thread, or they may arrive in this one.
  Worker(std::unique_ptr<Sampler> sampler, const Wanted& wanted);
  /// Waits until the look that is under way is done.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void want(const Wanted& wanted);
  /// The newest frame; null when it has been taken already.
  std::shared_ptr<const TopFrame> take();
  /// Becomes readable with a new frame, until take().
  [[nodiscard]] int descriptor() const { return ready_.get(); }

 private:
  void run();
  void publish(std::shared_ptr<const TopFrame> frame);
  /// False when it is to end. Returns early when something else is wanted.
  bool wait_until(std::chrono::steady_clock::time_point end, const Wanted& before);

  std::unique_ptr<Sampler> sampler_;
  Fd ready_;
  std::mutex mutex_;  ///< guards what follows
  std::condition_variable changed_;
  Wanted wanted_;
  std::shared_ptr<const TopFrame> frame_;
  bool stop_ = false;
  std::thread thread_;  ///< the last, so that it begins when all else is there
};

}  // namespace ipcscope
