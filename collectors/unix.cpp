// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <string>
#include <unordered_map>

#include "bpf/socket.h"
#include "collectors/socket.h"
#include "collectors/socket_ends.h"

namespace ipcscope {

namespace {

// include/net/tcp_states.h; UNIX sockets use three of them.
constexpr uint16_t state_established = 1;
constexpr uint16_t state_listen = 10;

struct UnixEnd {
  uint64_t peer = 0;
  uint64_t peer_inode = 0;
  uint64_t rx_bytes = 0;
  uint32_t inode = 0;
  uint32_t rx_messages = 0;
  uint32_t wmem = 0;
  uint32_t sndbuf = 0;
  uint32_t backlog_max = 0;
  uint32_t fds_in_flight = 0;
  uint32_t net_ns = 0;
  uint32_t uid = 0;
  uint16_t type = 0;
  uint16_t state = 0;
  bool name_is_peers = false;
  Role role = Role::opener;
  ChannelIndex channel = no_index;
  std::string_view name;
};

class UnixSockets final : public Mechanism {
 public:
  void take(const record& fact, Assembly& assembly) override;
  void finish(Assembly& assembly) override;

 private:
  ChannelIndex add_channel(const UnixEnd& end, std::string_view name, Assembly& assembly);
  void make_pair(uint32_t one, uint32_t other, Assembly& assembly);
  void make_single(UnixEnd& end, Assembly& assembly);
  void join_backlogs(Assembly& assembly);

  SocketEnds<UnixEnd> ends_;
  std::vector<std::pair<ChannelIndex, std::string_view>> unaccepted_;
};

/// "@name" for an abstract one, else the path without its final NUL.
std::string printed_name(std::string_view raw) {
  if (raw.empty()) {
    return {};
  }
  if (raw.front() == '\0') {
    return "@" + std::string(raw.substr(1));
  }
  return std::string(raw.substr(0, raw.find('\0')));
}

void UnixSockets::take(const record& fact, Assembly& assembly) {
  const auto& from = reinterpret_cast<const unix_record&>(fact);
  bool is_new = false;
  UnixEnd& end = ends_.add(from.file, assembly, is_new);
  if (!is_new) {
    return;
  }
  end.peer = from.peer;
  end.peer_inode = from.peer_inode;
  end.rx_bytes = from.rx_bytes;
  end.rx_messages = from.rx_messages;
  end.wmem = from.wmem;
  end.sndbuf = from.sndbuf;
  end.backlog_max = from.backlog_max;
  end.fds_in_flight = from.fds_in_flight;
  end.net_ns = from.net_ns;
  end.uid = from.file.uid;
  end.type = from.type;
  end.state = from.state;
  end.name_is_peers = from.peer_name != 0;
  if (from.name_length > 0) {
    // The kernel leaves the name out of the record when there is none.
    end.name = assembly.builder.keep(printed_name({from.name, from.name_length}));
  }
}

const char* type_name(uint16_t type) {
  switch (type) {
    case SOCK_STREAM:
      return "stream";
    case SOCK_DGRAM:
      return "dgram";
    case SOCK_SEQPACKET:
      return "seqpacket";
    default:
      return "unknown";
  }
}

std::optional<uint64_t> sum(std::optional<uint64_t> a, std::optional<uint64_t> b) {
  return a && b ? std::optional<uint64_t>(*a + *b) : std::nullopt;
}

uint64_t widen(uint32_t value) { return value == UNKNOWN_U32 ? UINT64_MAX : value; }

ChannelIndex UnixSockets::add_channel(const UnixEnd& end, std::string_view name,
                                      Assembly& assembly) {
  char id[24];
  const auto written = fmt::format_to_n(id, sizeof id, "unix:{}", end.inode);
  const ChannelIndex index =
      assembly.builder.add_channel(Kind::unix_socket, {id, written.size}, name);
  Channel& channel = assembly.builder.channel(index);
  channel.name_space = Assembly::foreign(end.net_ns, assembly.own_net_ns);
  channel.uid = known32(end.uid);
  return index;
}

void describe(SnapshotBuilder& builder, const UnixEnd& end, const UnixEnd* peer) {
  const ChannelIndex index = end.channel;
  const bool listening = end.state == state_listen;
  const char* state = listening                                         ? "listening"
                      : peer != nullptr                                 ? "connected"
                      : end.peer != 0 && !end.peer_inode                ? "connecting"
                      : end.state == state_established || end.peer != 0 ? "connected"
                                                                        : "unconnected";
  builder.text(index, "type", type_name(end.type));
  builder.text(index, "state", state);
  builder.natural(index, "inode", end.inode);
  const uint64_t peer_inode = peer != nullptr ? peer->inode : end.peer_inode;
  builder.natural(index, "peer_inode", peer_inode == 0 ? UINT64_MAX : peer_inode);
  builder.natural(index, "rx_bytes", listening ? 0 : end.rx_bytes);
  builder.natural(index, "rx_messages", listening ? 0 : widen(end.rx_messages));
  builder.natural(index, "peer_rx_bytes", peer != nullptr ? peer->rx_bytes : UINT64_MAX);
  builder.natural32(index, "peer_rx_messages", peer != nullptr ? peer->rx_messages : UNKNOWN_U32);
  builder.natural32(index, "sndbuf", end.sndbuf);
  builder.natural32(index, "peer_sndbuf", peer != nullptr ? peer->sndbuf : UNKNOWN_U32);
  builder.natural32(index, "wmem", end.wmem);
  builder.natural32(index, "peer_wmem", peer != nullptr ? peer->wmem : UNKNOWN_U32);
  builder.natural32(index, "backlog", listening ? end.rx_messages : UNKNOWN_U32);
  builder.natural32(index, "backlog_limit", listening ? end.backlog_max : UNKNOWN_U32);
  builder.natural(index, "fds_in_flight",
                  peer == nullptr ? widen(end.fds_in_flight)
                  : end.fds_in_flight == UNKNOWN_U32 || peer->fds_in_flight == UNKNOWN_U32
                      ? UINT64_MAX
                      : uint64_t{end.fds_in_flight} + peer->fds_in_flight);
}

void UnixSockets::make_pair(uint32_t one, uint32_t other, Assembly& assembly) {
  UnixEnd& first = ends_.all()[one];
  UnixEnd& second = ends_.all()[other];
  const ChannelIndex index =
      add_channel(first, !first.name.empty() ? first.name : second.name, assembly);
  first.channel = second.channel = index;
  first.role = second.role = Role::peer;
  Channel& channel = assembly.builder.channel(index);
  channel.depth_bytes = sum(known(first.rx_bytes), known(second.rx_bytes));
  channel.depth_messages = sum(known32(first.rx_messages), known32(second.rx_messages));
  // What one end may have on its way is its sender's limit: that of the fuller direction.
  const UnixEnd& sender = first.rx_bytes > second.rx_bytes ? second : first;
  channel.capacity_bytes = known32(sender.sndbuf);
  if (first.type == SOCK_DGRAM) {
    channel.capacity_messages = known32(first.backlog_max);
  }
  describe(assembly.builder, first, &second);
}

void UnixSockets::make_single(UnixEnd& end, Assembly& assembly) {
  const bool listening = end.state == state_listen;
  // A datagram sender is told under its receiver's name, not its own.
  end.channel = add_channel(end, end.name, assembly);
  Channel& channel = assembly.builder.channel(end.channel);
  if (listening) {
    end.role = Role::listener;
    channel.depth_messages = known32(end.rx_messages);
    channel.capacity_messages = known32(end.backlog_max);
  } else {
    end.role = end.type == SOCK_DGRAM ? Role::reader : Role::peer;
    channel.depth_bytes = known(end.rx_bytes);
    channel.depth_messages = known32(end.rx_messages);
    if (end.type == SOCK_DGRAM) {
      channel.capacity_messages = known32(end.backlog_max);
    } else {
      channel.capacity_bytes = known32(end.sndbuf);
    }
    if (end.peer != 0 && end.peer_inode == 0) {
      unaccepted_.emplace_back(end.channel, end.name);
    }
  }
  describe(assembly.builder, end, nullptr);
}

/// A connection that nobody accepted yet has no peer process: whoever listens under its name is the
/// other end.
void UnixSockets::join_backlogs(Assembly& assembly) {
  if (unaccepted_.empty()) {
    return;
  }
  std::unordered_map<std::string_view, ChannelIndex> listeners;
  for (const UnixEnd& end : ends_.all()) {
    if (end.state == state_listen && !end.name.empty()) {
      listeners.emplace(end.name, end.channel);
    }
  }
  std::unordered_map<ChannelIndex, std::vector<Endpoint>> accepting;
  for (const Endpoint& endpoint : assembly.builder.snapshot().endpoints) {
    if (endpoint.role == Role::listener) {
      accepting[endpoint.channel].push_back(endpoint);
    }
  }
  for (const auto& [channel, name] : unaccepted_) {
    const auto found = listeners.find(name);
    if (found == listeners.end()) {
      continue;
    }
    for (Endpoint endpoint : accepting[found->second]) {
      endpoint.channel = channel;
      assembly.builder.add_endpoint(endpoint);
    }
  }
}

void UnixSockets::finish(Assembly& assembly) {
  std::vector<UnixEnd>& ends = ends_.all();
  // Mutual peers first: a datagram sender then knows whether its receiver has a channel of its own.
  for (uint32_t i = 0; i < ends.size(); i++) {
    const uint32_t other = ends[i].channel == no_index ? ends_.find(ends[i].peer) : no_index;
    if (other == no_index || ends_.find(ends[other].peer) != i) {
      continue;
    }
    const bool in_order = ends[i].inode <= ends[other].inode;
    make_pair(in_order ? i : other, in_order ? other : i, assembly);
  }
  for (UnixEnd& end : ends) {
    const bool sends_elsewhere = end.type == SOCK_DGRAM && ends_.find(end.peer) != no_index &&
                                 end.name.empty() && end.rx_messages == 0;
    if (end.channel == no_index && !sends_elsewhere) {
      make_single(end, assembly);
    }
  }
  for (UnixEnd& end : ends) {
    if (end.channel == no_index) {  // it only sends: a writer of its receiver's channel
      const UnixEnd& receiver = ends[ends_.find(end.peer)];
      end.channel = receiver.channel;
      end.role = Role::writer;
    }
  }
  // A chain of senders that send to senders ends nowhere; such a socket keeps a channel of its own.
  for (UnixEnd& end : ends) {
    if (end.channel == no_index) {
      make_single(end, assembly);
    }
  }
  ends_.add_endpoints(assembly.builder);
  join_backlogs(assembly);
}

constexpr Kind kinds[] = {Kind::unix_socket};
constexpr record_kind records[] = {RECORD_UNIX};

}  // namespace

const MechanismEntry unix_mechanism = {"unix", kinds, records,
                                       [] { return std::unique_ptr<Mechanism>(new UnixSockets); }};

}  // namespace ipcscope
