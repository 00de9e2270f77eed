// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "bpf/socket.h"
#include "collectors/base/identity_map.h"
#include "collectors/inet_name.h"
#include "collectors/socket.h"
#include "collectors/socket_ends.h"

namespace ipcscope {

namespace {

constexpr uint16_t state_listen = 10;

struct InetEnd {
  InetName local, remote;
  uint64_t rx_bytes = 0, tx_bytes = 0;
  uint32_t inode = 0;
  uint32_t rx_memory = 0, rcvbuf = 0, sndbuf = 0, backlog = 0, backlog_max = 0, drops = 0;
  uint32_t net_ns = 0;
  uint32_t uid = 0;
  uint16_t protocol = 0, state = 0, family = 0;
  bool has_peer = false;
  Role role = Role::opener;
  ChannelIndex channel = no_index;
};

struct Connection {
  InetName local, remote;
  uint32_t net_ns = 0;
  uint16_t protocol = 0;
  bool operator==(const Connection&) const = default;
};

/// A number for a connection, as good as unique; never 0.
uint64_t fingerprint(const Connection& of) {
  std::array<char, 42> bytes;
  std::memcpy(bytes.data(), of.local.address.data(), 16);
  std::memcpy(&bytes[16], of.remote.address.data(), 16);
  std::memcpy(&bytes[32], &of.local.port, 2);
  std::memcpy(&bytes[34], &of.remote.port, 2);
  std::memcpy(&bytes[36], &of.net_ns, 4);
  std::memcpy(&bytes[40], &of.protocol, 2);
  return std::hash<std::string_view>{}({bytes.data(), bytes.size()}) | 1;
}

const char* state_name(uint16_t protocol, uint16_t state) {
  // include/net/tcp_states.h, as ss prints them.
  static constexpr const char* names[] = {"unknown",    "established", "syn-sent",  "syn-recv",
                                          "fin-wait-1", "fin-wait-2",  "time-wait", "closed",
                                          "close-wait", "last-ack",    "listening", "closing"};
  if (protocol != IPPROTO_TCP) {
    return state == 1 ? "connected" : "unconnected";
  }
  return state < std::size(names) ? names[state] : "unknown";
}

class InetSockets final : public Mechanism {
 public:
  void take(const record& fact, Assembly& assembly) override;
  void finish(Assembly& assembly) override;

 private:
  ChannelIndex add_channel(const InetEnd& first, bool both_local, Assembly& assembly);
  void describe(const InetEnd& end, const InetEnd* peer, SnapshotBuilder& builder) const;

  void join_backlogs(SnapshotBuilder& builder);

  [[nodiscard]] InetEnd* peer_of(const InetEnd& end);

  SocketEnds<InetEnd> ends_;
  IdentityMap by_connection_;  ///< the first end of each fingerprint
  std::string id_;
};

void InetSockets::take(const record& fact, Assembly& assembly) {
  const auto& from = reinterpret_cast<const inet_record&>(fact);
  bool is_new = false;
  InetEnd& end = ends_.add(from.file, assembly, is_new);
  if (!is_new) {
    return;
  }
  end.local = make_inet_name(from.local, from.local_port, from.family);
  end.remote = make_inet_name(from.remote, from.remote_port, from.family);
  end.rx_bytes = from.rx_bytes;
  end.tx_bytes = from.tx_bytes;
  end.rx_memory = from.rx_memory;
  end.rcvbuf = from.rcvbuf;
  end.sndbuf = from.sndbuf;
  end.backlog = from.backlog;
  end.backlog_max = from.backlog_max;
  end.drops = from.drops;
  end.net_ns = from.net_ns;
  end.uid = from.file.uid;
  end.protocol = from.protocol;
  end.state = from.state;
  end.family = from.family;
  if (!end.remote.empty()) {
    uint32_t& first =
        by_connection_.slot(fingerprint({end.local, end.remote, end.net_ns, end.protocol}), is_new);
    if (is_new) {
      first = static_cast<uint32_t>(ends_.all().size() - 1);
    }
  }
}

Kind kind_of(uint16_t protocol) {
  switch (protocol) {
    case IPPROTO_TCP:
    case IPPROTO_MPTCP:
      return Kind::tcp;
    case IPPROTO_UDP:
    case IPPROTO_UDPLITE:
      return Kind::udp;
    default:
      return Kind::raw;
  }
}

ChannelIndex InetSockets::add_channel(const InetEnd& first, bool both_local, Assembly& assembly) {
  SnapshotBuilder& builder = assembly.builder;
  const Kind kind = kind_of(first.protocol);
  const uint32_t foreign = Assembly::foreign(first.net_ns, assembly.own_net_ns);
  id_ = kind_name(kind);
  id_ += ':';
  if (kind == Kind::raw) {
    id_ += fmt::format_int(first.inode).c_str();
  } else {
    append_inet_name(id_, first.local, first.family);
    if (!first.remote.empty()) {
      id_ += '-';
      append_inet_name(id_, first.remote, first.family);
    }
    if (foreign != 0) {
      id_ += fmt::format("@{}", foreign);
    }
  }
  // Several sockets can have one address (SO_REUSEPORT, a bound socket that is not connected yet).
  if (!both_local && builder.find_channel(id_) != no_index) {
    id_ += fmt::format("#{}", first.inode);
  }
  const ChannelIndex index = builder.add_channel(kind, id_);
  Channel& channel = builder.channel(index);
  channel.name_space = foreign;
  channel.uid = known32(first.uid);
  return index;
}

void InetSockets::describe(const InetEnd& end, const InetEnd* peer,
                           SnapshotBuilder& builder) const {
  const ChannelIndex index = end.channel;
  const bool listening = end.state == state_listen && end.protocol == IPPROTO_TCP;
  const uint32_t none = UNKNOWN_U32;
  switch (kind_of(end.protocol)) {
    case Kind::tcp:
      builder.text(index, "state", state_name(IPPROTO_TCP, end.state));
      builder.natural(index, "rx_bytes", end.rx_bytes);
      builder.natural(index, "tx_bytes", end.tx_bytes);
      builder.natural(index, "peer_rx_bytes", peer != nullptr ? peer->rx_bytes : UINT64_MAX);
      builder.natural(index, "peer_tx_bytes", peer != nullptr ? peer->tx_bytes : UINT64_MAX);
      builder.natural32(index, "rcvbuf", end.rcvbuf);
      builder.natural32(index, "sndbuf", end.sndbuf);
      builder.natural32(index, "peer_rcvbuf", peer != nullptr ? peer->rcvbuf : none);
      builder.natural32(index, "peer_sndbuf", peer != nullptr ? peer->sndbuf : none);
      builder.natural32(index, "backlog", listening ? end.backlog : none);
      builder.natural32(index, "backlog_limit", listening ? end.backlog_max : none);
      builder.natural(index, "inode", end.inode);
      builder.natural32(index, "peer_inode", peer != nullptr ? peer->inode : none);
      break;
    case Kind::udp:
      builder.text(index, "state", state_name(end.protocol, end.state));
      builder.natural(index, "rx_bytes", end.rx_bytes);
      builder.natural32(index, "rx_memory", end.rx_memory);
      builder.natural32(index, "rcvbuf", end.rcvbuf);
      builder.natural32(index, "drops", end.drops);
      builder.natural(index, "inode", end.inode);
      builder.natural32(index, "peer_inode", peer != nullptr ? peer->inode : none);
      break;
    default:
      builder.integer(index, "protocol", end.protocol);
      builder.natural(index, "inode", end.inode);
  }
}

uint64_t queued(const InetEnd& end) { return end.rx_bytes == UNKNOWN_U64 ? 0 : end.rx_bytes; }

/// A connection that nobody accepted yet has no peer process: whoever listens at its remote address
/// is the other end.
void InetSockets::join_backlogs(SnapshotBuilder& builder) {
  const std::vector<InetEnd>& ends = ends_.all();
  std::unordered_multimap<uint16_t, uint32_t> listeners;
  for (uint32_t i = 0; i < ends.size(); i++) {
    if (ends[i].role == Role::listener && ends[i].backlog != 0) {
      listeners.emplace(ends[i].local.port, i);
    }
  }
  if (listeners.empty()) {
    return;
  }
  std::unordered_map<uint32_t, std::vector<Endpoint>> accepting;
  for (const InetEnd& end : ends) {
    if (end.has_peer || end.role != Role::peer || end.protocol != IPPROTO_TCP ||
        !is_within_host(end.local, end.remote)) {
      continue;
    }
    const auto [first, last] = listeners.equal_range(end.remote.port);
    for (auto at = first; at != last; ++at) {
      const InetEnd& listener = ends[at->second];
      const bool any_address = listener.local.address == std::array<uint8_t, 16>{};
      if (listener.net_ns != end.net_ns ||
          (!any_address && listener.local.address != end.remote.address)) {
        continue;
      }
      const auto [held, is_new] = accepting.try_emplace(at->second);
      if (is_new) {
        held->second = ends_.holders_of(at->second);
      }
      for (Endpoint holder : held->second) {
        holder.channel = end.channel;
        holder.role = Role::listener;
        builder.add_endpoint(holder);
      }
      break;
    }
  }
}

/// The end that this one is connected to, if it is on this host and has no channel yet.
InetEnd* InetSockets::peer_of(const InetEnd& end) {
  if (end.remote.empty()) {
    return nullptr;
  }
  const Connection wanted = {end.remote, end.local, end.net_ns, end.protocol};
  const uint32_t found = by_connection_.find(fingerprint(wanted));
  if (found == UINT32_MAX) {
    return nullptr;
  }
  InetEnd& peer = ends_.all()[found];
  const bool is_it = Connection{peer.local, peer.remote, peer.net_ns, peer.protocol} == wanted;
  return is_it && &peer != &end && peer.channel == no_index ? &peer : nullptr;
}

void InetSockets::finish(Assembly& assembly) {
  std::vector<InetEnd>& ends = ends_.all();
  for (InetEnd& end : ends) {
    if (end.channel != no_index) {
      continue;
    }
    InetEnd* peer = peer_of(end);
    InetEnd* first = &end;
    if (peer != nullptr && peer->local < end.local) {
      std::swap(first, peer);
    }
    const ChannelIndex index = add_channel(*first, peer != nullptr, assembly);
    Channel& channel = assembly.builder.channel(index);
    const bool listening = first->state == state_listen && first->protocol == IPPROTO_TCP;
    first->channel = index;
    first->role = listening ? Role::listener : Role::peer;
    if (peer != nullptr) {
      first->has_peer = peer->has_peer = true;
      peer->channel = index;
      peer->role = Role::peer;
    }
    if (listening) {
      channel.depth_messages = known32(first->backlog);
      channel.capacity_messages = known32(first->backlog_max);
    } else if (kind_of(first->protocol) == Kind::tcp) {
      // What is on its way in both directions: unread at one end, unacknowledged at the other.
      if (first->rx_bytes != UNKNOWN_U64) {
        channel.depth_bytes =
            first->rx_bytes + (peer != nullptr ? queued(*peer) : 0) +
            (first->tx_bytes == UNKNOWN_U64 ? 0 : first->tx_bytes) +
            (peer != nullptr && peer->tx_bytes != UNKNOWN_U64 ? peer->tx_bytes : 0);
      }
      const InetEnd& reader = peer != nullptr && queued(*peer) > queued(*first) ? *peer : *first;
      channel.capacity_bytes = known32(reader.rcvbuf);
    } else {
      if (first->role == Role::peer && peer == nullptr && kind_of(first->protocol) == Kind::udp) {
        first->role = Role::reader;
      }
      channel.depth_bytes = known32(first->rx_memory);
      channel.capacity_bytes = known32(first->rcvbuf);
    }
    describe(*first, peer, assembly.builder);
  }
  ends_.add_endpoints(assembly.builder);
  join_backlogs(assembly.builder);
}

constexpr Kind kinds[] = {Kind::tcp, Kind::udp, Kind::raw};
constexpr record_kind records[] = {RECORD_INET};

}  // namespace

const MechanismEntry inet_mechanism = {"inet", kinds, records,
                                       [] { return std::unique_ptr<Mechanism>(new InetSockets); }};

}  // namespace ipcscope
