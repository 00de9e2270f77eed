// SPDX-License-Identifier: GPL-2.0-or-later
#include "analysis/unserved.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "analysis/wait_words.h"

namespace ipcscope {

namespace {

class Unserved {
 public:
  explicit Unserved(const StuckQuestion& question)
      : question_(question), snapshot_(question.snapshot) {}

  void find_missed_edges();
  void look_at(const Channel& channel);
  std::vector<Finding> finish() { return std::move(found_); }

 private:
  [[nodiscard]] uint64_t number(const Channel& channel, std::string_view key) const;
  [[nodiscard]] bool is_connected(const Channel& channel) const;
  [[nodiscard]] uint64_t unread(const Channel& channel, uint32_t inode) const;
  [[nodiscard]] bool is_asleep(ProcessIndex process) const;
  [[nodiscard]] bool has_both_ends(const Channel& channel) const;
  Finding* add(const char* rule, const Channel& channel,
               const std::vector<ProcessIndex>& receivers);
  void look_at_backlog(const Channel& channel);
  void look_at_datagrams(const Channel& channel);
  void look_at_descriptors(const Channel& channel);

  const StuckQuestion& question_;
  const Snapshot& snapshot_;
  std::vector<Finding> found_;
};

/// 0 where it is not known.
uint64_t Unserved::number(const Channel& channel, std::string_view key) const {
  const Attribute* attribute = snapshot_.attribute(channel, key);
  return attribute != nullptr && attribute->type == Attribute::Type::natural ? attribute->natural
                                                                             : 0;
}

/// All of its threads, for as long as the question says.
bool Unserved::is_asleep(ProcessIndex index) const {
  const Process& process = snapshot_.processes[index];
  const auto threads = snapshot_.threads_of(process);
  return std::all_of(threads.begin(), threads.end(), [&](const Thread& thread) {
    return thread.state == 'Z' || thread.state == 'X' ||
           (thread.state == 'S' && thread.blocked_ns.value_or(0) >= question_.longer_than_ns);
  });
}

/// A finding about those who do not take what is there. Null where one of them may be at work, or
/// nobody was seen.
Finding* Unserved::add(const char* rule, const Channel& channel,
                       const std::vector<ProcessIndex>& receivers) {
  if (receivers.empty() || !std::all_of(receivers.begin(), receivers.end(), [&](ProcessIndex each) {
        return each != no_index && is_asleep(each);
      })) {
    return nullptr;
  }
  Finding finding;
  finding.rule = rule;
  finding.channels.emplace_back(channel.id);
  constexpr size_t most_told = 4;
  for (const ProcessIndex each : receivers) {
    const Process& process = snapshot_.processes[each];
    if (std::find(finding.pids.begin(), finding.pids.end(), process.pid) != finding.pids.end()) {
      continue;
    }
    finding.pids.push_back(process.pid);
    for (uint32_t i = process.first_thread; i < process.first_thread + process.thread_count; i++) {
      const Thread& thread = snapshot_.threads[i];
      if (thread.state != 'S') {
        continue;
      }
      finding.tids.push_back(thread.tid);
      if (finding.evidence.size() < most_told) {
        finding.evidence.push_back(
            {"receiver",
             fmt::format("{} has slept{} for {}", thread_label(snapshot_, i),
                         thread.wait_count != 0
                             ? " in " + wait_text(snapshot_, snapshot_.waits[thread.first_wait])
                             : std::string(),
                         since_text(thread))});
      }
    }
  }
  return &found_.emplace_back(std::move(finding));
}

// --- missed-edge --------------------------------------------------------------------------------

/// Bytes that one end could read.
uint64_t Unserved::unread(const Channel& channel, uint32_t inode) const {
  switch (channel.kind) {
    case Kind::pipe:
    case Kind::fifo:
      return channel.depth_bytes.value_or(0);
    case Kind::unix_socket:
    case Kind::tcp:
      return number(channel, number(channel, "inode") == inode ? "rx_bytes" : "peer_rx_bytes");
    default:
      return 0;  // an eventfd that wakes a thread need not be read
  }
}

/// A pipe of which one process has both ends wakes it up, and need not be read either.
bool Unserved::has_both_ends(const Channel& channel) const {
  const auto ends = snapshot_.endpoints_of(channel);
  return !ends.empty() && std::all_of(ends.begin(), ends.end(), [&](const Endpoint& each) {
    return each.process == ends.front().process;
  });
}

void Unserved::find_missed_edges() {
  std::unordered_set<ChannelIndex> waited_at;
  for (const Wait& wait : snapshot_.waits) {
    if (wait.channel != no_index && snapshot_.channels[wait.channel].kind == Kind::epoll &&
        !wait.timeout_ns) {
      waited_at.insert(wait.channel);
    }
  }
  for (const Watched& watched : snapshot_.watched) {
    if (!watched.edge || watched.channel == no_index || !waited_at.contains(watched.epoll)) {
      continue;
    }
    const Channel& channel = snapshot_.channels[watched.channel];
    const uint64_t bytes = unread(channel, watched.inode);
    if (bytes == 0 || has_both_ends(channel)) {
      continue;
    }
    const Channel& epoll = snapshot_.channels[watched.epoll];
    std::vector<ProcessIndex> holders;
    for (const Endpoint& endpoint : snapshot_.endpoints_of(epoll)) {
      holders.push_back(endpoint.process);
    }
    Finding* finding = add("missed-edge", channel, holders);
    if (finding == nullptr) {
      continue;
    }
    finding->severity = Severity::info;
    finding->channels.emplace_back(epoll.id);
    finding->summary = fmt::format("{} bytes lie unread in {}, and {} tells of new ones only",
                                   bytes, channel.id, epoll.id);
    finding->evidence.push_back(
        {"epoll", "it watches with EPOLLET: what was left unread is not told of again"});
    finding->advice = "read until EAGAIN each time, or watch without EPOLLET";
  }
}

// --- full-backlog -------------------------------------------------------------------------------

/// The kernel lets one connection more wait than the limit says (sk_acceptq_is_full in
/// include/net/sock.h, unix_recvq_full in net/unix/af_unix.c).
void Unserved::look_at_backlog(const Channel& channel) {
  const auto ends = snapshot_.endpoints_of(channel);
  std::vector<ProcessIndex> listeners;
  for (const Endpoint& each : ends) {
    if (each.role == Role::listener) {
      listeners.push_back(each.process);
    }
  }
  // A connection has the listener that is to accept it among its ends as well.
  if (listeners.size() != ends.size() || !channel.depth_messages || !channel.capacity_messages ||
      *channel.depth_messages <= *channel.capacity_messages) {
    return;
  }
  Finding* finding = add("full-backlog", channel, listeners);
  if (finding == nullptr) {
    return;
  }
  finding->summary = fmt::format(
      "{} is full: {} connections wait to be accepted, and further ones are turned away",
      channel.id, *channel.depth_messages);
  finding->evidence.push_back(
      {"backlog", fmt::format("{} of {}", *channel.depth_messages, *channel.capacity_messages)});
  finding->advice =
      fmt::format("see what the server does: 'ipcscope why {}'", finding->pids.front());
}

// --- lost-datagrams -----------------------------------------------------------------------------

void Unserved::look_at_datagrams(const Channel& channel) {
  const uint64_t drops = number(channel, "drops");
  const uint64_t used = number(channel, "rx_memory"), limit = number(channel, "rcvbuf");
  // A large datagram is dropped while a small one would have had room.
  if (drops == 0 || used <= limit / 2) {
    return;
  }
  std::vector<ProcessIndex> receivers;
  for (const Endpoint& each : snapshot_.endpoints_of(channel)) {
    receivers.push_back(each.process);
  }
  Finding* finding = add("lost-datagrams", channel, receivers);
  if (finding == nullptr) {
    return;
  }
  finding->summary = fmt::format("{} is full, and has dropped {} datagrams", channel.id, drops);
  finding->evidence.push_back(
      {"buffer", fmt::format("{} of {} bytes, with the kernel's overhead", used, limit)});
  finding->advice =
      fmt::format("see what the receiver does: 'ipcscope why {}'", finding->pids.front());
}

// --- fd-in-flight -------------------------------------------------------------------------------

void Unserved::look_at_descriptors(const Channel& channel) {
  const uint64_t count = number(channel, "fds_in_flight");
  if (count == 0) {
    return;
  }
  // Which end they wait at is certain where only one has something to read.
  const uint64_t first = number(channel, "rx_bytes"), second = number(channel, "peer_rx_bytes");
  const uint64_t inode = number(channel, "inode");
  std::vector<ProcessIndex> receivers;
  for (const Endpoint& each : snapshot_.endpoints_of(channel)) {
    const bool is_first = each.inode == inode;
    if (each.role != Role::writer && ((first == 0) == (second == 0) || is_first == (first != 0))) {
      receivers.push_back(each.process);
    }
  }
  Finding* finding = add("fd-in-flight", channel, receivers);
  if (finding == nullptr) {
    return;
  }
  finding->severity = Severity::info;
  finding->summary = fmt::format("{} descriptor{} sent through {} that nobody receives", count,
                                 count == 1 ? " was" : "s were", channel.id);
  finding->evidence.push_back(
      {"descriptors", "what they refer to stays open: locks are kept, ends of files do not come"});
  finding->advice =
      fmt::format("see what the receiver does: 'ipcscope why {}'", finding->pids.front());
}

void Unserved::look_at(const Channel& channel) {
  switch (channel.kind) {
    case Kind::unix_socket:
      look_at_backlog(channel);
      look_at_descriptors(channel);
      break;
    case Kind::tcp:
      look_at_backlog(channel);
      break;
    case Kind::udp:
      look_at_datagrams(channel);
      break;
    default:
      break;
  }
}

}  // namespace

std::vector<Finding> find_unserved(const StuckQuestion& question) {
  Unserved unserved(question);
  unserved.find_missed_edges();
  for (const Channel& channel : question.snapshot.channels) {
    unserved.look_at(channel);
  }
  return unserved.finish();
}

}  // namespace ipcscope
