// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace ipcscope {

/// Parts of /proc/PID/task/TID/stat (proc_pid_stat(5)). comm points into the text.
struct TaskStat {
  std::string_view comm;  ///< raw bytes
  char state = '?';
  int32_t ppid = 0;
  uint32_t flags = 0;  ///< PF_*
  uint32_t threads = 0;
  uint64_t start_ticks = 0;  ///< boot time clock, in units of sysconf(_SC_CLK_TCK)
  uint64_t virtual_bytes = 0;
  uint64_t resident_pages = 0;
  uint64_t start_code = 0;  ///< 0 without permission, like start_stack
  uint64_t start_stack = 0;
  int32_t processor = -1;                                                          ///< last CPU
  [[nodiscard]] bool kernel_thread() const { return (flags & 0x00200000U) != 0; }  // PF_KTHREAD
};

/// Nothing when the text is cut off before the CPU number or is no stat file. The name may hold
/// anything, parentheses and newlines included: it ends at the last ')'.
std::optional<TaskStat> parse_stat(std::string_view text);

/// Parts of /proc/PID/status.
struct TaskStatus {
  std::optional<uint32_t> uid;     ///< effective, in the reader's user namespace
  std::array<uint32_t, 4> uids{};  ///< real, effective, saved, of the file system; valid with uid
  int32_t tracer = 0;
  int32_t ns_pid = 0;   ///< in its innermost PID namespace; 0 when the kernel does not tell
  bool nested = false;  ///< that namespace is not the reader's
};

/// Takes what it knows; a cut-off text gives what is there.
TaskStatus parse_status(std::string_view text);

/// /proc/PID/task/TID/syscall.
struct TaskSyscall {
  int64_t number = -1;  ///< -1: blocked outside of a system call, or running
  uint64_t args[6] = {};
  uint64_t stack = 0;
  uint64_t instruction = 0;
};

std::optional<TaskSyscall> parse_syscall(std::string_view text);

/// Parts of /proc/PID/task/TID/sched.
struct TaskSched {
  std::optional<uint64_t> exec_start_ns;  ///< clock_task of its CPU when it last left it
  std::optional<uint64_t> switches;
};

TaskSched parse_sched(std::string_view text);

}  // namespace ipcscope
