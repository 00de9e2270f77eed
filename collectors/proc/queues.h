// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "collectors/base/proc_root.h"
#include "collectors/proc/mounts.h"

namespace ipcscope {

/// POSIX message queues by IPC namespace. A queue that was opened without /dev/mqueue being mounted
/// is on a mount that no mountinfo shows, and its link is no more than "/NAME". It is recognised by
/// its name and inode in a private, detached mount of the namespace's mqueue file system.
/// Thread-safe.
class QueueTable {
 public:
  QueueTable(const ProcRoot& root, bool live) : root_(root), live_(live) {}

  /// The mount of the queue with this name and inode, as the namespace of that process has it.
  std::optional<Mount> find(std::string_view name, uint64_t inode, int pid, uint32_t ipc_ns);

 private:
  struct NameSpace {
    uint32_t device = 0;
    std::map<std::string, uint64_t, std::less<>> inodes;
  };
  NameSpace load(int pid, uint32_t ipc_ns) const;

  const ProcRoot& root_;
  bool live_;
  std::mutex lock_;
  std::unordered_map<uint32_t, NameSpace> name_spaces_;
};

}  // namespace ipcscope
