// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/show_report.h"

#include <unistd.h>

#include <algorithm>

#include "cli/render/escape.h"
#include "collectors/base/parse.h"

namespace ipcscope {

namespace {

constexpr unsigned farthest_hop = 2;
constexpr size_t most_ways_per_process = 24;
constexpr size_t most_ways = 2000;
constexpr size_t most_facts = 256;

/// The channels of each process, in one array.
class Channels {
 public:
  explicit Channels(const Snapshot& snapshot) : first_(snapshot.processes.size() + 1) {
    const auto each = [&](auto use) {
      for (ChannelIndex i = 0; i < snapshot.channels.size(); i++) {
        for (const Endpoint& endpoint : snapshot.endpoints_of(snapshot.channels[i])) {
          if (endpoint.process < snapshot.processes.size()) {
            use(endpoint.process, i);
          }
        }
      }
    };
    each([&](ProcessIndex process, ChannelIndex) { first_[process + 1]++; });
    for (size_t i = 1; i < first_.size(); i++) {
      first_[i] += first_[i - 1];
    }
    channels_.resize(first_.back());
    std::vector<uint32_t> next(first_.begin(), first_.end() - 1);
    each([&](ProcessIndex process, ChannelIndex channel) { channels_[next[process]++] = channel; });
  }

  /// Each channel once, in the snapshot's order.
  [[nodiscard]] std::vector<ChannelIndex> of(ProcessIndex process) const {
    std::vector<ChannelIndex> found(channels_.begin() + first_[process],
                                    channels_.begin() + first_[process + 1]);
    found.erase(std::unique(found.begin(), found.end()), found.end());
    return found;
  }

 private:
  std::vector<uint32_t> first_;
  std::vector<ChannelIndex> channels_;
};

std::vector<ProcessIndex> processes_at(const Snapshot& snapshot, const Channel& channel) {
  std::vector<ProcessIndex> found;
  for (const Endpoint& endpoint : snapshot.endpoints_of(channel)) {
    if (endpoint.process < snapshot.processes.size()) {
      found.push_back(endpoint.process);
    }
  }
  for (const uint32_t wait : snapshot.waits_at(channel)) {
    found.push_back(snapshot.threads[snapshot.waits[wait].thread].process);
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

class PeerSearch {
 public:
  PeerSearch(ShowReport& report, const Channels& channels)
      : report_(report),
        channels_(channels),
        visited_(report.snapshot.processes.size()),
        used_(report.snapshot.channels.size()) {}

  void begin_at_channel(ChannelIndex channel) { used_[channel] = true; }
  void begin_at(ProcessIndex process) { visited_[process] = true; }
  /// All beginnings together, so that none is found as the far end of another.
  void from(const std::vector<ProcessIndex>& origins) {
    std::vector<std::vector<PeerEdge>> ways;
    ways.reserve(origins.size());
    for (const ProcessIndex origin : origins) {
      ways.push_back(ways_from(origin, 1));
    }
    for (const auto& each : ways) {
      follow(each);
    }
  }

 private:
  /// The channels of a process that lead to others and that were not used before.
  std::vector<PeerEdge> ways_from(ProcessIndex from, unsigned hop) {
    std::vector<PeerEdge> ways;
    for (const ChannelIndex channel : channels_.of(from)) {
      if (used_[channel]) {
        continue;
      }
      std::vector<ProcessIndex> to =
          processes_at(report_.snapshot, report_.snapshot.channels[channel]);
      std::erase(to, from);
      if (to.empty()) {
        continue;
      }
      used_[channel] = true;
      if (ways.size() < most_ways_per_process && found_ < most_ways) {
        found_++;
        ways.push_back({hop, from, channel, std::move(to)});
      } else {
        report_.peers_omitted++;
      }
    }
    return ways;
  }

  void follow(const std::vector<PeerEdge>& ways) {
    for (const PeerEdge& way : ways) {
      report_.peers.push_back(way);
      for (const ProcessIndex next : way.to) {
        if (way.hop < farthest_hop && !visited_[next]) {
          visited_[next] = true;
          follow(ways_from(next, way.hop + 1));
        }
      }
    }
  }

  ShowReport& report_;
  const Channels& channels_;
  size_t found_ = 0;
  std::vector<bool> visited_;  ///< processes
  std::vector<bool> used_;     ///< channels
};

std::vector<KernelLimit> kernel_limits(const ProcRoot& proc, Kind kind) {
  struct Line {
    Kind kind;
    std::vector<const char*> names;
  };
  static const Line table[] = {
      {Kind::pipe, {"fs/pipe-max-size", "fs/pipe-user-pages-soft", "fs/pipe-user-pages-hard"}},
      {Kind::fifo, {"fs/pipe-max-size", "fs/pipe-user-pages-soft", "fs/pipe-user-pages-hard"}},
      {Kind::unix_socket,
       {"net/unix/max_dgram_qlen", "net/core/somaxconn", "net/core/wmem_default",
        "net/core/wmem_max"}},
      {Kind::tcp, {"net/core/somaxconn", "net/ipv4/tcp_rmem", "net/ipv4/tcp_wmem"}},
      {Kind::udp, {"net/core/rmem_default", "net/core/rmem_max", "net/ipv4/udp_mem"}},
      {Kind::shm, {"kernel/shmmax", "kernel/shmall", "kernel/shmmni"}},
      {Kind::sem, {"kernel/sem"}},
      {Kind::msg, {"kernel/msgmax", "kernel/msgmnb", "kernel/msgmni"}},
      {Kind::mq, {"fs/mqueue/msg_max", "fs/mqueue/msgsize_max", "fs/mqueue/queues_max"}},
      {Kind::epoll, {"fs/epoll/max_user_watches"}},
      {Kind::inotify,
       {"fs/inotify/max_user_instances", "fs/inotify/max_user_watches",
        "fs/inotify/max_queued_events"}},
      {Kind::pty, {"kernel/pty/max", "kernel/pty/nr"}},
  };
  std::vector<KernelLimit> limits;
  for (const Line& line : table) {
    if (line.kind != kind) {
      continue;
    }
    for (const char* name : line.names) {
      Result<std::string> value = proc.read(std::string("sys/") + name);
      if (!value) {
        continue;  // not in this kernel
      }
      value->erase(value->find_last_not_of(" \n\t") + 1);
      std::replace(value->begin(), value->end(), '\t', ' ');
      std::string dotted = name;
      std::replace(dotted.begin(), dotted.end(), '/', '.');
      limits.push_back({std::move(dotted), std::move(*value)});
    }
  }
  return limits;
}

bool has_number(const Snapshot& snapshot, const Channel& channel, uint64_t number) {
  return std::any_of(snapshot.attributes_of(channel).begin(), snapshot.attributes_of(channel).end(),
                     [&](const Attribute& each) {
                       const std::string_view key = each.key;
                       return each.type == Attribute::Type::natural && each.natural == number &&
                              (key == "inode" || key == "peer_inode");
                     });
}

}  // namespace

std::vector<ChannelIndex> matching_channels(const Snapshot& snapshot, std::string_view word) {
  std::vector<ChannelIndex> exact, meant, beginning;
  const size_t colon = word.find(':');
  const auto kind =
      colon == std::string_view::npos ? std::nullopt : kind_from_name(word.substr(0, colon));
  const std::string_view rest = kind ? word.substr(colon + 1) : word;
  const auto number = parse_number<uint64_t>(rest);
  for (ChannelIndex i = 0; i < snapshot.channels.size(); i++) {
    const Channel& channel = snapshot.channels[i];
    if (channel.id == word || escaped(channel.id, {.utf8 = true}) == word ||
        escaped(channel.id, {}) == word) {
      exact.push_back(i);
    } else if (kind && channel.kind != *kind) {
      continue;
    } else if (const std::string_view own = channel.id.substr(channel.id.find(':') + 1);
               (!channel.name.empty() && channel.name == rest) || own == rest ||
               (number && has_number(snapshot, channel, *number))) {
      meant.push_back(i);
    } else if (!number && !rest.empty() &&
               (channel.id.starts_with(word) || own.starts_with(rest))) {
      beginning.push_back(i);
    }
  }
  return !exact.empty() ? exact : !meant.empty() ? meant : beginning;
}

void complete(ShowReport& report, const ProcRoot& proc) {
  const Snapshot& snapshot = report.snapshot;
  const Channels channels(snapshot);
  report.protocols = find_protocols(snapshot, report.channels, proc);
  report.own_namespaces = read_process_facts(proc, ::getpid(), false).namespaces;
  for (const ProcessIndex process : report.processes) {
    const int pid = snapshot.processes[process].pid;
    report.facts[pid] = read_process_facts(proc, pid, true);
    report.channels_of.push_back(channels.of(process));
  }
  std::vector<ProcessIndex> origins = report.processes;  // may come to name one twice
  for (const ChannelIndex channel : report.channels) {
    const Kind kind = snapshot.channels[channel].kind;
    report.limits.try_emplace(kind, kernel_limits(proc, kind));
    for (const ProcessIndex process : processes_at(snapshot, snapshot.channels[channel])) {
      const int pid = snapshot.processes[process].pid;
      if (report.facts.size() < most_facts && report.facts.count(pid) == 0) {
        report.facts[pid] = read_process_facts(proc, pid, false);
      }
      origins.push_back(process);
    }
  }
  PeerSearch search(report, channels);
  for (const ChannelIndex channel : report.channels) {
    search.begin_at_channel(channel);
  }
  for (const ProcessIndex process : origins) {
    search.begin_at(process);
  }
  search.from(origins);
}

}  // namespace ipcscope
