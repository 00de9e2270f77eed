// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

#include "collectors/base/proc_root.h"

namespace ipcscope {

/// One line of /proc/locks (proc_locks(5)) or one "lock:" line of fdinfo.
struct LockLine {
  uint64_t number = 0;  ///< a waiter has that of the lock it waits for
  bool waiting = false;
  uint32_t flavour = 0;  ///< LOCK_*
  uint32_t type = 0;     ///< 0 read, 1 write, 2 unlock
  int32_t pid = -1;      ///< -1: an OFD lock, or a process that is not in our PID namespace
  uint32_t device = 0;   ///< of the superblock, major << 20 | minor
  uint64_t inode = 0;
  uint64_t start = 0;
  uint64_t end = 0;  ///< inclusive, UNKNOWN_U64: to the end of the file
};
/// Takes the line without "lock:". Nothing for what is no lock on a file.
std::optional<LockLine> parse_lock_line(std::string_view line);

/// The whole of /proc/locks by file.
class LockTable {
 public:
  void load(std::string_view text);
  [[nodiscard]] bool empty() const { return locks_.empty(); }
  /// Some process has or waits for a lock on this file.
  [[nodiscard]] bool names(uint32_t device, uint64_t inode) const;
  [[nodiscard]] size_t find(const LockLine& lock) const;
  struct Held {
    LockLine line;
    uint32_t waiters = 0;
  };
  /// What is held; waiters are counted with what they wait for.
  [[nodiscard]] const std::vector<Held>& all() const { return locks_; }

 private:
  std::vector<Held> locks_;
  std::unordered_map<uint64_t, std::vector<size_t>> by_file_;
};

/// Reads /proc/locks only when something was seen that needs it, and beside other work: opening it
/// waits until every lock operation on the host is over (an RCU grace period, some 20 ms:
/// locks_start in fs/locks.c takes file_rwsem for writing).
class LockReader {
 public:
  explicit LockReader(const ProcRoot& root) : root_(root) {}
  ~LockReader() {
    if (thread_.joinable()) {
      thread_.join();
    }
  }
  LockReader(const LockReader&) = delete;
  LockReader& operator=(const LockReader&) = delete;
  /// May be called by any worker, any number of times.
  void start();
  /// Empty when nobody asked. Only after the workers have ended.
  const LockTable& table();

 private:
  const ProcRoot& root_;
  std::once_flag once_;
  std::thread thread_;
  LockTable table_;
};

}  // namespace ipcscope
