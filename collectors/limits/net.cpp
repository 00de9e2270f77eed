// SPDX-License-Identifier: GPL-2.0-or-later
// Limits of network namespaces: queues of sockets, their buffers, ports.
#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "collectors/base/parse.h"
#include "collectors/limits/gathering.h"
#include "collectors/limits/name_space_files.h"
#include "collectors/limits/ports.h"

namespace ipcscope {

namespace {

enum Path : size_t {
  path_dgram,
  path_somaxconn,
  path_rmem,
  path_wmem,
  path_range,
  path_reserved,
  path_buckets,
  path_count,
};
constexpr const char* paths[path_count] = {
    "sys/net/unix/max_dgram_qlen",
    "sys/net/core/somaxconn",
    "sys/net/core/rmem_max",
    "sys/net/core/wmem_max",
    "sys/net/ipv4/ip_local_port_range",
    "sys/net/ipv4/ip_local_reserved_ports",
    "sys/net/ipv4/tcp_max_tw_buckets",
};

/// A queue of a socket that is not empty.
struct Queue {
  ChannelIndex channel = no_index;
  uint64_t used = 0;
  std::optional<uint64_t> limit;
};

/// What the snapshot has of one network namespace.
struct Sockets {
  std::vector<Queue> datagrams;
  std::vector<Queue> listeners;
};

/// The largest buffers that sockets may have asked for.
struct Buffers {
  std::optional<uint64_t> receive, send;
};

/// Goes once over all sockets.
class SocketWalk {
 public:
  explicit SocketWalk(const Snapshot& snapshot) : snapshot_(snapshot) {
    for (ChannelIndex i = 0; i < snapshot.channels.size(); i++) {
      const Channel& channel = snapshot.channels[i];
      if (channel.kind == Kind::unix_socket) {
        take_unix(i, channel);
      } else if (channel.kind == Kind::tcp) {
        take_listener(i, channel, tcp_backlog_, tcp_limit_);
      } else if (channel.kind == Kind::udp) {
        largest(buffers.receive, udp_rcvbuf_.number(snapshot, channel));
      }
    }
  }

  std::unordered_map<uint32_t, Sockets> by_name_space;
  Buffers buffers;

 private:
  static void largest(std::optional<uint64_t>& so_far, std::optional<uint64_t> buffer) {
    if (buffer) {
      // The kernel doubles what is asked for (Linux 6.18 net/core/sock.c, SO_SNDBUF).
      so_far = std::max(so_far.value_or(0), *buffer / 2);
    }
  }
  void take_unix(ChannelIndex index, const Channel& channel) {
    largest(buffers.send, sndbuf_.number(snapshot_, channel));
    if (type_.text(snapshot_, channel) != "dgram") {
      take_listener(index, channel, unix_backlog_, unix_limit_);
      return;
    }
    // What a connected pair has in both directions is in two queues.
    const uint64_t used = std::max(messages_.number(snapshot_, channel).value_or(0),
                                   peer_messages_.number(snapshot_, channel).value_or(0));
    if (used > 0) {
      by_name_space[channel.name_space].datagrams.push_back(
          {index, used, channel.capacity_messages});
    }
  }
  void take_listener(ChannelIndex index, const Channel& channel, AttributeFinder& backlog,
                     AttributeFinder& limit) {
    const auto used = backlog.number(snapshot_, channel);
    if (used && *used > 0) {
      by_name_space[channel.name_space].listeners.push_back(
          {index, *used, limit.number(snapshot_, channel)});
    }
  }

  const Snapshot& snapshot_;
  AttributeFinder type_{"type"}, sndbuf_{"sndbuf"}, messages_{"rx_messages"};
  AttributeFinder peer_messages_{"peer_rx_messages"}, unix_backlog_{"backlog"};
  AttributeFinder unix_limit_{"backlog_limit"}, tcp_backlog_{"backlog"};
  AttributeFinder tcp_limit_{"backlog_limit"}, udp_rcvbuf_{"rcvbuf"};
};

std::vector<LimitUser> ends_of(const Snapshot& snapshot, const Channel& channel) {
  constexpr size_t enough = 5;
  std::vector<LimitUser> users;
  for (const Endpoint& end : snapshot.endpoints_of(channel)) {
    if (end.process == no_index) {
      continue;
    }
    const Process& process = snapshot.processes[end.process];
    const bool known = std::any_of(users.begin(), users.end(),
                                   [&](const LimitUser& user) { return user.pid == process.pid; });
    if (!known && users.size() < enough) {
      users.push_back({process.pid, process.uid, std::string(process.command()), 0});
    }
  }
  return users;
}

/// The facts of one namespace.
class NetFacts {
 public:
  NetFacts(LimitGathering& gathering, const NameSpaceFiles& files)
      : gathering_(gathering), files_(files) {}

  LimitFact& add(LimitId id, Path setting, std::optional<uint64_t> used) {
    LimitFact& fact = gathering_.add(
        id, {.kind = LimitPlace::Kind::net, .name_space = files_.name_space, .pid = files_.pid});
    fact.setting = numbers_of(files_.texts[setting]);
    fact.limit = number_at(fact.setting, 0);
    fact.used = used;
    return fact;
  }

  /// Each queue has a limit of its own, which it took from the setting when it was made.
  void add_queues(LimitId id, Path setting, const std::vector<Queue>& queues) {
    const Snapshot& snapshot = gathering_.snapshot;
    for (const Queue& queue : queues) {
      LimitFact& fact = add(id, setting, queue.used);
      const Channel& channel = snapshot.channels[queue.channel];
      fact.place.kind = LimitPlace::Kind::channel;
      fact.place.name = channel.id;
      fact.limit = queue.limit;
      fact.users = ends_of(snapshot, channel);
      fact.note = channel.name;
    }
    add(id, setting, 0);  // for those who have none
  }

  void add_ports();

 private:
  LimitGathering& gathering_;
  const NameSpaceFiles& files_;
};

void NetFacts::add_ports() {
  const ProcRoot& proc = gathering_.proc;
  const std::string whose = files_.pid == 0 ? "self" : std::to_string(files_.pid);
  const std::optional<TcpCounts> counts = read_tcp_counts(proc, whose);
  LimitFact& waiting = add(LimitId::tcp_max_tw_buckets, path_buckets, std::nullopt);
  waiting.used = counts ? std::optional<uint64_t>(counts->time_wait) : std::nullopt;

  LimitFact& ports = add(LimitId::ip_local_port_range, path_range, std::nullopt);
  const std::vector<uint64_t> range = ports.setting;
  if (range.size() != 2 || range[0] > range[1]) {
    ports.limit = std::nullopt;
    return;
  }
  const uint64_t all = range[1] - range[0] + 1;
  const uint64_t reserved = reserved_ports(files_.texts[path_reserved], range[0], range[1]);
  ports.limit = all - std::min(all, reserved);
  if (!counts) {
    ports.note = fmt::format("/proc/{}/net/sockstat cannot be read", whose);
    return;
  }
  // The table of all connections is long to read. Where there are so few that none of the places
  // that they go to can be near the limit, their number will do.
  if ((counts->in_use + counts->time_wait) * 2 < *ports.limit) {
    ports.used = counts->in_use + counts->time_wait;
    ports.at_most = true;
    return;
  }
  const std::optional<PortUse> use = read_port_use(proc, whose, range[0], range[1]);
  if (!use) {
    ports.note = fmt::format("/proc/{}/net/tcp cannot be read", whose);
    return;
  }
  ports.used = use->ports;
  ports.note = use->ports == 0 ? std::string()
                               : fmt::format("to {}, {} of them in TIME_WAIT", use->destination,
                                             use->time_wait);
  // Who has them: the sockets by their inode numbers.
  std::unordered_map<uint64_t, ProcessIndex> owners;
  for (const Channel& channel : gathering_.snapshot.channels) {
    if (channel.kind == Kind::tcp) {
      for (const Endpoint& end : gathering_.snapshot.endpoints_of(channel)) {
        if (end.process != no_index && end.inode != 0) {
          owners.emplace(end.inode, end.process);
        }
      }
    }
  }
  LimitTally users(gathering_);
  for (const uint64_t inode : use->inodes) {
    if (const auto owner = owners.find(inode); owner != owners.end()) {
      users.add_process(owner->second, 1);
    }
  }
  ports.users = users.largest();
}

}  // namespace

void gather_net_limits(LimitGathering& gathering) {
  const auto others =
      gathering.live ? other_name_spaces(gathering.snapshot, &Process::net_ns, gathering.own_net_ns)
                     : std::vector<NameSpace>();
  const NameSpaceReading reading = read_in_name_spaces(gathering.proc, others, "net", paths);
  const SocketWalk sockets(gathering.snapshot);
  for (const NameSpaceFiles& files : reading.found) {
    NetFacts facts(gathering, files);
    const auto found = sockets.by_name_space.find(files.name_space);
    const Sockets none;
    const Sockets& seen = found != sockets.by_name_space.end() ? found->second : none;
    facts.add_queues(LimitId::max_dgram_qlen, path_dgram, seen.datagrams);
    facts.add_queues(LimitId::somaxconn, path_somaxconn, seen.listeners);
    facts.add_ports();
    if (files.name_space == 0) {
      facts.add(LimitId::rmem_max, path_rmem, sockets.buffers.receive);
      facts.add(LimitId::wmem_max, path_wmem, sockets.buffers.send);
    }
  }
  gathering.facts.coverage.push_back(cover_name_spaces("limits-net", "network", reading));
}

}  // namespace ipcscope
