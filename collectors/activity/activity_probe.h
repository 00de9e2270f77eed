// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <memory>

#include "collectors/base/proc_root.h"
#include "collectors/base/result.h"
#include "collectors/model/activity.h"

namespace ipcscope {

/// Counts IPC operations in the kernel (bpf/activity.bpf.c). While it is there, each system call of
/// the host takes about 60 ns longer. What is attached goes away with this object, or with the
/// process, however it ends.
class ActivityProbe {
 public:
  /// Loads and attaches; counting has begun when this returns. Fails without BPF (EPERM, EACCES).
  /// proc has to live as long.
  static Result<std::unique_ptr<ActivityProbe>> start(const ProcRoot& proc);
  ~ActivityProbe();
  ActivityProbe(const ActivityProbe&) = delete;
  ActivityProbe& operator=(const ActivityProbe&) = delete;

  /// What was done since the last take(), or since start(). ipcscope's own operations are left out.
  Result<Activity> take();

 private:
  class State;
  explicit ActivityProbe(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace ipcscope
