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

/// Whose waits are measured, and at what. Empty lists and absent values: all.
struct LockRequest {
  static constexpr size_t filter_max = 16;  ///< pids, tids

  std::vector<pid_t> pids;
  std::vector<pid_t> tids;
  std::optional<uint32_t> uid;     ///< effective
  std::string comm;                ///< the first bytes of a thread's name
  std::optional<uint64_t> cgroup;  ///< inode number of a control group's directory (version 2)
  std::bitset<kind_count> kinds;
  uint64_t min_wait_ns = 0;  ///< shorter waits are not counted
  bool stacks = false;
  bool deep = false;  ///< every taking of a lock in pids and the processes of tids, by probes there
};

/// Measures waiting in the kernel, where threads go to sleep and come back (bpf/locks.bpf.c). What
/// is attached goes away with this object, or with the process, however it ends.
class LockProbe {
 public:
  /// Loads and attaches; measuring has begun when this returns. Fails without BPF (EPERM, EACCES),
  /// and when there are more than filter_max pids or tids. proc has to live as long.
  static Result<std::unique_ptr<LockProbe>> start(const LockRequest& request, const ProcRoot& proc);
  ~LockProbe();
  LockProbe(const LockProbe&) = delete;
  LockProbe& operator=(const LockProbe&) = delete;

  /// Takes in what the kernel reports, for at most this long; returns early on a signal.
  void poll(std::chrono::milliseconds timeout);
  /// Everything since start() or restart().
  Result<LockWindow> window();
  /// Counts begin anew; waits in progress go on, and count from now on.
  void restart();

 private:
  class State;
  explicit LockProbe(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace ipcscope
