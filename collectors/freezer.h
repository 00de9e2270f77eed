// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <unordered_map>

#include "collectors/base/proc_root.h"

namespace ipcscope {

/// Tells which processes are frozen with their control group: their threads look asleep in whatever
/// they did (Linux kernel/cgroup/freezer.c). Asks once for each group.
class Freezer {
 public:
  /// groups: where cgroup v2 is mounted, and the controllers of v1 below it.
  explicit Freezer(const ProcRoot& proc, std::string groups = "/sys/fs/cgroup");

  /// False when it cannot be told.
  bool is_frozen(int pid);

 private:
  bool is_group_frozen(const std::string& path, const char* file, std::string_view mark);

  const ProcRoot& proc_;
  std::string groups_;
  std::unordered_map<std::string, bool> known_;
};

}  // namespace ipcscope
