// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <sys/types.h>

#include <bitset>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "collectors/base/proc_root.h"
#include "collectors/base/result.h"
#include "collectors/model/lock_window.h"

namespace ipcscope {

/// Whose waits are measured, and at what. What is left empty does not restrict it.
struct LockRequest {
  std::vector<pid_t> pids;
  std::vector<pid_t> tids;
  std::optional<uint32_t> uid;
  std::string comm;                ///< of the thread, at most 15 bytes
  std::optional<uint64_t> cgroup;  ///< its identifier, the inode number of its directory
  std::bitset<kind_count> kinds;
  uint64_t min_wait_ns = 0;  ///< shorter waits are not counted
  uint32_t max_locks = 0;    ///< 0: the collector's own bound
  bool stacks = false;
};

/// Measures waits at the scheduler. Detaches when it is destroyed.
class LockProbe {
 public:
  static Result<std::unique_ptr<LockProbe>> start(const LockRequest& request, const ProcRoot& proc);
  ~LockProbe();
  LockProbe(const LockProbe&) = delete;
  LockProbe& operator=(const LockProbe&) = delete;

  /// Takes in what the kernel reports. Returns early on a signal.
  void poll(std::chrono::milliseconds timeout);
  /// Everything since start(), or since the last restart().
  Result<LockWindow> window();
  /// Counts begin anew.
  void restart();

 private:
  LockProbe() = default;
};

}  // namespace ipcscope
