// SPDX-License-Identifier: GPL-2.0-or-later
// POSIX segments, named semaphores and queues.
#include <fmt/format.h>

#include <algorithm>

#include "analysis/leak_judge.h"

namespace ipcscope {

namespace {

/// Between shm_open() by one program and shm_open() by the next, nobody has it open.
constexpr uint64_t least_age_s = 60;
/// The smallest page of any machine. Where pages are larger, more files pass for segments.
constexpr uint64_t page_bytes = 4096;

/// Whether anybody has the file open or mapped, from the processes and from the kernel.
void add_users(const Judge& judge, const Channel& channel, Leak& leak) {
  const std::string holders = judge.holders(channel);
  const std::optional<bool> unused = judge.facts(leak.channel).unused;
  if (judge.boolean(channel, "unlinked").value_or(false)) {
    leak.add("unlinked", "its name is gone, so it goes with its last user", Verdict::live);
  }
  if (!holders.empty()) {
    leak.add("users", "used by " + holders, Verdict::live);
  } else if (unused) {
    leak.add("users",
             *unused ? "nobody has it open or mapped, says the kernel"
                     : "somebody has it open or mapped, says the kernel",
             *unused ? Verdict::leaked : Verdict::live,
             *unused ? "nobody has it open" : "somebody has it open");
  } else if (const std::string blind = judge.unseen(); !blind.empty()) {
    leak.add("users", blind + " may use it", Verdict::suspect,
             "a process that is hidden may use it");
  } else {
    leak.add("users", "no process has it open or mapped", Verdict::leaked, "nobody has it open");
  }
}

std::optional<uint64_t> size_of(const Judge& judge, const Channel& channel) {
  const auto bytes = judge.number(channel, "bytes");
  return bytes ? std::optional(static_cast<uint64_t>(*bytes)) : std::nullopt;
}

void add_session(const Judge& judge, Leak& leak) {
  if (leak.uid && judge.has_session(*leak.uid)) {
    leak.add("session", "its owner is at work, and a program to come may expect it",
             Verdict::suspect, "its owner is at work");
  }
}

void add_common(const Judge& judge, const Channel& channel, Leak& leak) {
  add_users(judge, channel, leak);
  add_session(judge, leak);
  judge.add_age(leak, judge.number(channel, "change_time"), least_age_s);
}

}  // namespace

void judge_posix_shm(const Judge& judge, const Channel& channel, Leak& leak) {
  leak.bytes = size_of(judge, channel);
  // A segment may have any size too, but its memory begins as zeroes.
  const bool written =
      leak.bytes && *leak.bytes % page_bytes != 0 && judge.facts(leak.channel).text.value_or(true);
  if (judge.holders(channel).empty() && leak.bytes && (*leak.bytes == 0 || written)) {
    leak.kind = "file";
    leak.id = fmt::format("file:/dev/shm{}", channel.name);
    if (channel.name_space != 0) {
      leak.id += fmt::format("@{}", channel.name_space);
    }
    leak.add(
        "file",
        *leak.bytes == 0
            ? "a file rather than a segment: it is empty"
            : "a file rather than a segment: it holds text, and its size is not one of whole pages",
        Verdict::suspect,
        *leak.bytes == 0 ? "a file, not a segment: it is empty"
                         : "a file, not a segment: it holds text");
  }
  add_common(judge, channel, leak);
}

void judge_posix_sem(const Judge& judge, const Channel& channel, Leak& leak) {
  leak.bytes = size_of(judge, channel);
  if (const auto value = judge.number(channel, "value")) {
    leak.lost = fmt::format("value {}", *value);
  }
  add_common(judge, channel, leak);
}

void judge_mq(const Judge& judge, const Channel& channel, Leak& leak) {
  const auto notified = judge.number(channel, "notify_pid");
  const auto senders = judge.number(channel, "waiting_senders");
  const auto receivers = judge.number(channel, "waiting_receivers");
  leak.bytes = channel.depth_bytes;
  if (channel.depth_messages.value_or(0) > 0) {
    leak.lost = counted(*channel.depth_messages, "message");
    if (channel.depth_bytes) {
      leak.lost += fmt::format(", {}", counted(*channel.depth_bytes, "byte"));
    }
  }
  add_common(judge, channel, leak);
  // Both end with the descriptor that they were asked for through (Linux ipc/mqueue.c,
  // mqueue_flush_file), so they say nothing new of a queue that nobody has open.
  if (notified && *notified != 0) {
    leak.add("notify", fmt::format("process {} asked to be notified", *notified), Verdict::live);
  }
  const uint64_t waiting =
      std::max(static_cast<uint64_t>(senders.value_or(0) + receivers.value_or(0)),
               uint64_t{channel.wait_count});
  if (waiting > 0) {
    leak.add("blocked", fmt::format("{} blocked on it", counted(waiting, "thread")), Verdict::live);
  }
}

}  // namespace ipcscope
