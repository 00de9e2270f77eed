// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "collectors/base/identity_map.h"
#include "collectors/mechanism.h"

namespace ipcscope {

/// Finds threads by the numbers that they have in their own PID namespace, which is what lies in a
/// process's memory and in its arguments.
class ThreadNumbers {
 public:
  explicit ThreadNumbers(const Assembly& assembly) : assembly_(assembly) {}

  /// The thread that a process of this PID namespace (Process::pid_ns) calls number; no_index when
  /// no such thread was seen.
  [[nodiscard]] ThreadIndex find(uint32_t pid_ns, uint64_t number);

 private:
  const Assembly& assembly_;
  IdentityMap foreign_;
  bool indexed_ = false;
};

}  // namespace ipcscope
