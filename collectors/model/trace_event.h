// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace ipcscope {

/// Somebody at the other end of a channel, where it is known. comm: raw bytes.
struct TracePeer {
  int32_t pid = 0;  ///< 0: not known
  int32_t tid = 0;  ///< 0: which thread is not known
  std::string_view comm;
  uint32_t thread_index = UINT32_MAX;  ///< as TraceEvent has it
};

/// One IPC operation, as it ended, or as it was when the trace ended. What views point to lives
/// until the next event.
struct TraceEvent {
  uint64_t time_ns = 0;                 ///< CLOCK_MONOTONIC when it began
  std::optional<uint64_t> duration_ns;  ///< nothing: an event without duration (a signal)
  int32_t pid = 0;
  int32_t tid = 0;
  std::string_view comm;       ///< raw bytes
  const char* operation = "";  ///< "write", "futex_wake", "semop", "signal_deliver", ...
  /// The word of `trace KIND`: a kind of channel, "signal", "fd" (a passed descriptor), "poll" or
  /// "splice"; a literal.
  std::string_view kind;
  std::string_view channel;  ///< id; raw bytes; empty: not resolved
  /// Numbers that stay with this thread under this name, and with this channel's id, counted from
  /// 0: for who keeps something for each. UINT32_MAX: none.
  uint32_t thread_index = UINT32_MAX;
  uint32_t channel_index = UINT32_MAX;
  TracePeer peer;
  std::optional<uint64_t> bytes;    ///< moved, where the operation moves some
  int64_t result = 0;               ///< of the system call: negative is an errno
  bool has_result = true;           ///< false: nothing is known of it (io_uring, a signal)
  bool unfinished = false;          ///< still in progress when the trace ended; no result
  bool gives = false;               ///< it writes, sends, posts, wakes
  bool takes = false;               ///< it reads, receives, waits
  std::string_view payload;         ///< first bytes of what was moved, where asked for
  std::string_view detail;          ///< of what only this operation has: "SCM_RIGHTS pipe -> 812"
  std::span<const uint64_t> stack;  ///< user return addresses, innermost first, where asked for
};

}  // namespace ipcscope
