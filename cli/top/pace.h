// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <algorithm>
#include <chrono>

namespace ipcscope {

/// How often something may be done that costs: not more than a share of one CPU, and not more often
/// than is of use.
class Pace {
 public:
  using Clock = std::chrono::steady_clock;

  /// Whether it is time. share: of one CPU, 0 to 1.
  [[nodiscard]] bool is_due(Clock::time_point now, double share, Clock::duration least) const {
    const auto earned = std::chrono::duration_cast<Clock::duration>(cost_ / share);
    return !done_ || now - begin_ >= std::max(earned, least);
  }
  /// It was done from begin on, and took so much of a CPU.
  void done(Clock::time_point begin, std::chrono::nanoseconds cost) {
    begin_ = begin;
    cost_ = std::chrono::duration<double>(cost);
    done_ = true;
  }
  void forget() { done_ = false; }

 private:
  Clock::time_point begin_;
  std::chrono::duration<double> cost_{};
  bool done_ = false;
};

}  // namespace ipcscope
