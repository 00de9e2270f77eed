// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

namespace ipcscope::live {

/// Processes that make and leave everything in haste: children, pipes, sockets, queues, by the
/// thousand a second. They end with this object.
class Churn {
 public:
  Churn();
  ~Churn();
  Churn(const Churn&) = delete;
  Churn& operator=(const Churn&) = delete;

  /// Rounds so far, of all processes; each makes and leaves one thing or several.
  [[nodiscard]] uint64_t rounds() const;

 private:
  struct Counters;
  Counters* counters_;
  std::vector<pid_t> pids_;
};

}  // namespace ipcscope::live
