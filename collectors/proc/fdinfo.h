// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace ipcscope {

/// What /proc/PID/fdinfo/N says of every file (proc_pid_fdinfo(5)).
struct FdInfo {
  uint32_t flags = 0;             ///< O_*, of the description: without O_CLOEXEC
  std::optional<int> mount;       ///< mnt_id
  std::optional<uint64_t> inode;  ///< since Linux 5.14
  std::string_view rest;          ///< the lines that only this kind of file has
};

/// Nothing when there is no "flags" line.
std::optional<FdInfo> parse_fdinfo(std::string_view text);

struct EventfdInfo {
  uint64_t count = 0;
  std::optional<uint32_t> id;         ///< since Linux 5.2
  std::optional<uint32_t> semaphore;  ///< since Linux 6.5
};
std::optional<EventfdInfo> parse_eventfd(std::string_view rest);

/// One file that an epoll instance watches.
struct EpollItem {
  int32_t fd = -1;
  uint32_t events = 0;
  uint64_t data = 0;
  uint64_t inode = 0;   ///< 0 before Linux 4.13
  uint32_t device = 0;  ///< major << 20 | minor
};
/// Appends to items.
void parse_epoll(std::string_view rest, std::vector<EpollItem>& items);

/// Bit n-1 = signal n is read here.
std::optional<uint64_t> parse_signalfd(std::string_view rest);

struct TimerfdInfo {
  uint32_t clock = 0;
  uint64_t ticks = 0;
  uint64_t remaining_ns = 0;
  uint64_t interval_ns = 0;
};
std::optional<TimerfdInfo> parse_timerfd(std::string_view rest);

/// The target; 0 or less when it is gone or in a PID namespace that is not ours.
std::optional<int32_t> parse_pidfd(std::string_view rest);

uint32_t count_inotify(std::string_view rest);

/// Which fields are there differs by version; Linux 5.10 has none of them.
struct IoUringInfo {
  std::optional<uint32_t> sq_entries, cq_entries, sq_pending, cq_pending;
};
IoUringInfo parse_io_uring(std::string_view rest);

/// tty-index of a pty's master, since Linux 4.11.
std::optional<uint32_t> parse_tty_index(std::string_view rest);

/// Descriptors in flight inside a UNIX socket's queue (scm_fds), since Linux 5.9.
std::optional<uint32_t> parse_scm_fds(std::string_view rest);

}  // namespace ipcscope
