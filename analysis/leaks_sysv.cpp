// SPDX-License-Identifier: GPL-2.0-or-later
// System V segments, sets and queues.
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "analysis/leak_judge.h"
#include "collectors/base/parse.h"

namespace ipcscope {

namespace {

std::optional<uint32_t> creator_uid(const Judge& judge, const Channel& channel) {
  const auto uid = judge.number(channel, "cuid");
  return uid ? std::optional<uint32_t>(static_cast<uint32_t>(*uid)) : std::nullopt;
}

int64_t time_of(const Judge& judge, const Channel& channel, std::string_view key) {
  return judge.number(channel, key).value_or(0);
}

/// "sender" of "last sender"; of a segment's last user the first word matters.
std::string_view short_role(std::string_view role) {
  return role == "last user" || !role.starts_with("last ") ? role : role.substr(5);
}

/// pid: nothing when the kernel does not tell it to us, 0 when it keeps none.
void add_witness(const Judge& judge, Leak& leak, const char* fact, std::string_view role,
                 std::optional<int64_t> pid, int64_t remembered) {
  if (!pid) {
    leak.add(fact, fmt::format("{} was of another PID namespace, or is hidden", role),
             Verdict::suspect, fmt::format("{} of another PID namespace", role));
    return;
  }
  const Witness witness = judge.witness(static_cast<int32_t>(*pid), remembered);
  leak.add(fact, fmt::format("{} {} {}", role, witness.name, witness.text), witness.allows(),
           witness.is_gone() ? fmt::format("{} {} ended", short_role(role), *pid) : "");
}

/// How the use of a queue is worded.
struct Use {
  const char* fact;
  std::string_view role;
  const char* never;
};

/// when: of the last use, 0 never.
void add_user(const Judge& judge, Leak& leak, const Use& use, std::optional<int64_t> pid,
              int64_t when) {
  if (pid && *pid == 0 && when == 0) {
    leak.add(use.fact, use.never, Verdict::leaked);
  } else {
    // A user without a number here has one elsewhere.
    add_witness(judge, leak, use.fact, use.role, pid && *pid == 0 ? std::nullopt : pid, when);
  }
}

/// What the semaphores of a set say together.
struct Semaphores {
  uint64_t count = 0;
  uint64_t waiters = 0;
  bool knows_waiters = true;
  bool knows_pids = true;
  std::vector<int32_t> pids;  ///< each once, without 0
};

/// The number behind name, which is "key": with its quotation marks; nothing for null.
std::optional<int64_t> member(std::string_view object, std::string_view name) {
  const size_t at = object.find(name);
  if (at == std::string_view::npos) {
    return std::nullopt;
  }
  std::string_view rest = object.substr(at + name.size());
  return parse_number<int64_t>(rest.substr(0, rest.find_first_of(",}")));
}

/// json is what the collector wrote: flat objects of numbers.
Semaphores read_semaphores(std::string_view json) {
  Semaphores all;
  for (size_t open = json.find('{'); open != std::string_view::npos; open = json.find('{')) {
    json.remove_prefix(open);
    const std::string_view object = json.substr(0, json.find('}') + 1);
    json.remove_prefix(object.size());
    all.count++;
    const auto pid = member(object, "\"pid\":");
    const auto increase = member(object, "\"increase_waiters\":");
    const auto zero = member(object, "\"zero_waiters\":");
    all.knows_pids = all.knows_pids && pid;
    all.knows_waiters = all.knows_waiters && increase && zero;
    all.waiters += static_cast<uint64_t>(increase.value_or(0) + zero.value_or(0));
    const auto number = static_cast<int32_t>(pid.value_or(0));
    if (number != 0 && std::find(all.pids.begin(), all.pids.end(), number) == all.pids.end()) {
      all.pids.push_back(number);
    }
  }
  return all;
}

void add_blocked(Leak& leak, bool known, uint64_t blocked) {
  if (blocked > 0) {
    leak.add("blocked", fmt::format("{} blocked on it", counted(blocked, "thread")), Verdict::live);
  } else if (known) {
    leak.add("blocked", "nobody is blocked on it", Verdict::leaked);
  } else {
    leak.add("blocked", "whether a thread is blocked on it is unknown", Verdict::suspect);
  }
}

void add_undo(Leak& leak, const std::optional<uint32_t>& undos) {
  if (!undos) {
    leak.add("undo", "whether a process has operations on it to undo, only BPF tells",
             Verdict::suspect, "whether it has undos, only BPF tells");
  } else if (*undos > 0) {
    leak.add("undo",
             fmt::format("{} with operations on it to undo", counted(*undos, "living task")),
             Verdict::live);
  } else {
    leak.add("undo", "no process has operations on it to undo", Verdict::leaked);
  }
}

void add_operators(const Judge& judge, Leak& leak, const Semaphores& all, int64_t remembered) {
  if (!all.knows_pids) {
    leak.add("operators", "who operated on it may not be read", Verdict::suspect);
    return;
  }
  Witness worst;
  Verdict allows = Verdict::leaked;
  for (size_t i = 0; i < all.pids.size(); i++) {
    Witness witness = judge.witness(all.pids[i], remembered);
    if (i == 0 || witness.allows() > allows) {
      allows = witness.allows();
      worst = std::move(witness);
    }
  }
  if (all.pids.size() > 1 && allows == Verdict::leaked) {
    leak.add("operators", fmt::format("its {} last operators ended", all.pids.size()), allows);
  } else {
    leak.add("operators", fmt::format("last operator {} {}", worst.name, worst.text), allows,
             worst.is_gone() ? fmt::format("last operator {} ended", all.pids.front()) : "");
  }
}

}  // namespace

void judge_shm(const Judge& judge, const Channel& channel, Leak& leak) {
  const auto attaches = judge.number(channel, "attaches");
  const auto creator = judge.number(channel, "creator_pid");
  const auto last = judge.number(channel, "last_pid");
  const int64_t changed = time_of(judge, channel, "change_time");
  const int64_t used =
      std::max(time_of(judge, channel, "attach_time"), time_of(judge, channel, "detach_time"));
  const std::string holders = judge.holders(channel);
  leak.bytes = channel.capacity_bytes;
  if (judge.boolean(channel, "destroyed").value_or(false)) {
    leak.add("destroyed", "marked for destruction, it goes with the last detach", Verdict::live);
  }
  // The kernel's own count: it holds whoever could be inspected.
  if (!holders.empty()) {
    leak.add("attached", "attached by " + holders, Verdict::live);
  } else if (!attaches) {
    leak.add("attached", "how often it is attached is unknown", Verdict::suspect);
  } else if (*attaches > 0) {
    leak.add("attached",
             fmt::format("attached {}", counted(static_cast<uint64_t>(*attaches), "time")),
             Verdict::live);
  } else {
    leak.add("attached", "nobody has it attached", Verdict::leaked);
  }
  // The segment is at least as old as its last change.
  add_witness(judge, leak, "creator", "creator", creator, changed);
  if (creator) {
    const Witness witness = judge.witness(static_cast<int32_t>(*creator), changed);
    leak.creator = static_cast<int32_t>(*creator);
    leak.creator_text = fmt::format("{}, {}", witness.name, witness.brief);
  }
  if (last && *last == 0) {
    leak.add("last_user", "never attached", Verdict::leaked);
  } else {
    add_witness(judge, leak, "last_user", "last user", last, used);
  }
  judge.add_age(leak, std::max(used, changed), 0);
}

void judge_sem(const Judge& judge, const Channel& channel, Leak& leak) {
  const Semaphores all = read_semaphores(judge.text(channel, "semaphores"));
  const int64_t operated = time_of(judge, channel, "operate_time");
  const int64_t changed = time_of(judge, channel, "change_time");
  const ObjectFacts& facts = judge.facts(leak.channel);
  leak.lost = counted(all.count, "semaphore value");
  if (!all.pids.empty() || !all.knows_pids) {
    add_operators(judge, leak, all, std::max(operated, changed));
  } else if (operated != 0 && judge.has_processes_outside()) {
    leak.add("operators", "processes of another PID namespace operated on it", Verdict::suspect,
             "used from another PID namespace");
  } else {
    // The end of a process sets operate_time where it only tried an operation that could have been
    // undone (Linux 6.18 ipc/sem.c, exit_sem): that leaves no trace of who it was.
    leak.add("operators", operated == 0 ? "never used" : "no operation on it left a trace",
             Verdict::leaked);
  }
  add_undo(leak, facts.undos);
  const uint64_t blocked =
      std::max({all.waiters, uint64_t{facts.blocked.value_or(0)}, uint64_t{channel.wait_count}});
  add_blocked(leak, all.knows_waiters || facts.blocked, blocked);
  judge.add_possible_creator(leak, creator_uid(judge, channel), changed);
  judge.add_age(leak, std::max(operated, changed), 0);
}

void judge_msg(const Judge& judge, const Channel& channel, Leak& leak) {
  const auto sender = judge.number(channel, "last_send_pid");
  const auto receiver = judge.number(channel, "last_receive_pid");
  const int64_t sent = time_of(judge, channel, "send_time");
  const int64_t received = time_of(judge, channel, "receive_time");
  const int64_t changed = time_of(judge, channel, "change_time");
  const ObjectFacts& facts = judge.facts(leak.channel);
  leak.bytes = channel.depth_bytes;
  if (channel.depth_messages.value_or(0) > 0) {
    leak.lost = fmt::format("{}, {}", counted(*channel.depth_messages, "message"),
                            counted(channel.depth_bytes.value_or(0), "byte"));
  }
  add_user(judge, leak, {"sender", "last sender", "nothing was sent"}, sender, sent);
  add_user(judge, leak, {"receiver", "last receiver", "nothing was received"}, receiver, received);
  const uint64_t blocked =
      std::max(uint64_t{facts.blocked.value_or(0)}, uint64_t{channel.wait_count});
  // Without the kernel's lists all threads must have been seen.
  add_blocked(leak, facts.blocked || judge.unseen().empty(), blocked);
  judge.add_possible_creator(leak, creator_uid(judge, channel), changed);
  judge.add_age(leak, std::max({sent, received, changed}), 0);
}

}  // namespace ipcscope
