// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/proc/sockets.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>

#include "collectors/base/own_thread.h"
#include "collectors/base/parse.h"
#include "collectors/proc/identity.h"
#include "collectors/proc/net_tables.h"
#include "collectors/proc/sock_diag.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
#ifndef NETLINK_SOCK_DIAG
#define NETLINK_SOCK_DIAG 4
#endif

namespace ipcscope {

namespace {

constexpr uint16_t tcp_listen = 10;

/// One kind of socket: how to ask for it, and which table shows it when that is not possible.
struct SocketKind {
  Kind kind;
  DiagRequest request;
  std::array<const char*, 2> tables;
  const char* module;
};

constexpr SocketKind socket_kinds[] = {
    {Kind::unix_socket, {AF_UNIX, 0}, {"unix", nullptr}, "unix_diag"},
    // Before TCP, which has the first subflow of such a socket with the same inode.
    {Kind::tcp, {AF_INET, IPPROTO_MPTCP}, {nullptr, nullptr}, "mptcp_diag"},
    {Kind::tcp, {AF_INET6, IPPROTO_MPTCP}, {nullptr, nullptr}, "mptcp_diag"},
    {Kind::tcp, {AF_INET, IPPROTO_TCP}, {"tcp", nullptr}, "tcp_diag"},
    {Kind::tcp, {AF_INET6, IPPROTO_TCP}, {"tcp6", nullptr}, "tcp_diag"},
    {Kind::udp, {AF_INET, IPPROTO_UDP}, {"udp", nullptr}, "udp_diag"},
    {Kind::udp, {AF_INET6, IPPROTO_UDP}, {"udp6", nullptr}, "udp_diag"},
    {Kind::raw, {AF_INET, IPPROTO_RAW}, {"raw", "icmp"}, "raw_diag"},
    {Kind::raw, {AF_INET6, IPPROTO_RAW}, {"raw6", "icmp6"}, "raw_diag"},
    {Kind::netlink, {AF_NETLINK, 0}, {"netlink", nullptr}, "netlink_diag"},
    {Kind::packet, {AF_PACKET, 0}, {"packet", nullptr}, "af_packet_diag"},
    {Kind::vsock, {AF_VSOCK, 0}, {nullptr, nullptr}, "vsock_diag"},
};

/// Both ends of a connection as bytes, to find the other one by.
std::string ends(const InetFacts& facts, bool reversed) {
  std::string key;
  const auto append = [&](const uint8_t(&address)[16], uint16_t port) {
    key.append(reinterpret_cast<const char*>(address), sizeof address);
    key.append(reinterpret_cast<const char*>(&port), sizeof port);
  };
  key.append(reinterpret_cast<const char*>(&facts.protocol), sizeof facts.protocol);
  if (reversed) {
    append(facts.remote, facts.remote_port);
    append(facts.local, facts.local_port);
  } else {
    append(facts.local, facts.local_port);
    append(facts.remote, facts.remote_port);
  }
  return key;
}

file_record unseen_file(uint64_t inode, uint32_t uid) {
  auto file = make_record<file_record>(RECORD_FILE, 0);
  file.fd = -1;
  file.object = made_identity(IdentityOf::sock, inode);
  file.file = file.object;
  file.inode = inode;
  file.mode = UNKNOWN_U32;
  file.uid = uid;
  return file;
}

template <typename T>
T with_file(const file_record& file, record_kind kind) {
  T fact{};
  fact.file = file;
  fact.file.head = {static_cast<u16>(kind), static_cast<u16>(sizeof fact), file.head.pid};
  return fact;
}

}  // namespace

namespace {

file_record with_owner(file_record file, uint32_t uid) {
  file.uid = uid;
  return file;
}

}  // namespace

void SocketTable::complain(std::string what, std::string hint) {
  if (reason_.empty()) {
    reason_ = std::move(what);
    hint_ = std::move(hint);
  }
}

void SocketTable::add_entry(uint64_t inode, Entry::Kind kind, size_t index) {
  if (inode == 0) {
    return;  // without a file: in a backlog, closing, or the kernel's own
  }
  bool is_new = false;
  uint32_t& slot = by_inode_.slot(inode, is_new);
  if (is_new) {
    slot = static_cast<uint32_t>(entries_.size());
    entries_.push_back({kind, false, static_cast<uint32_t>(index)});
  }
}

const SocketTable::Entry* SocketTable::find(uint64_t inode) const {
  const uint32_t index = by_inode_.find(inode);
  return index == UINT32_MAX ? nullptr : &entries_[index];
}

void SocketTable::add_unix(const UnixFacts& facts) {
  add_entry(facts.inode, Entry::Kind::unix_socket, unix_.size());
  unix_.push_back(facts);
}

void SocketTable::load(int pid, uint32_t net_ns, const Request& request) {
  name_spaces_++;
  const auto own = root_.namespace_id(static_cast<int>(::getpid()), "net");
  if (!live_ || !load_by_diag(pid, net_ns, own && *own == net_ns, request)) {
    load_tables(pid, net_ns, request);
  }
}

bool SocketTable::load_by_diag(int pid, uint32_t net_ns, bool own, const Request& request) {
  char path[32];
  std::snprintf(path, sizeof path, "%d/ns/net", pid);
  Fd netlink;
  int error = 0;
  if (own) {
    netlink.reset(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
    error = errno;
  } else {
    const Fd target(::openat(root_.descriptor(), path, O_RDONLY | O_CLOEXEC));
    error = errno;
    if (target) {
      // The socket stays in its namespace.
      run_in_own_thread([&] {
        if (::setns(target.get(), CLONE_NEWNET) == 0) {
          netlink.reset(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
        }
        error = errno;
        const Fd limit(::open("/proc/sys/net/unix/max_dgram_qlen", O_RDONLY | O_CLOEXEC));
        char text[16];
        const ssize_t got = limit ? ::read(limit.get(), text, sizeof text) : 0;
        std::string_view rest(text, netlink && got > 0 ? static_cast<size_t>(got) : 0);
        datagrams_max_[net_ns] = next_number<uint32_t>(rest).value_or(UNKNOWN_U32);
      });
    }
  }
  if (!netlink) {
    if (error == ENOENT || error == ESRCH) {
      return true;  // the process has ended, and its namespace most likely with it
    }
    unreadable_ += own ? 0 : 1;
    complain(
        fmt::format("network namespace {}: {}", net_ns, std::generic_category().message(error)),
        "run as root or with CAP_SYS_ADMIN");
    return false;
  }
  // Its own socket is no channel of the host.
  for (const SocketKind& kind : socket_kinds) {
    if (!request.wants(kind.kind)) {
      continue;
    }
    Result<void> done =
        dump_sockets(netlink.get(), kind.request, [&](std::span<const std::byte> payload) {
          if (kind.request.family == AF_UNIX) {
            if (auto answer = parse_unix_diag(payload)) {
              answer->facts.net_ns = net_ns;
              for (const uint32_t inode : answer->waiting) {
                listeners_.emplace(inode, unix_.size());
              }
              add_unix(answer->facts);
            }
          } else if (kind.request.protocol != 0) {
            if (auto facts = parse_inet_diag(payload, kind.request.protocol)) {
              facts->net_ns = net_ns;
              add_entry(facts->inode, Entry::Kind::inet, inet_.size());
              inet_.push_back(*facts);
            }
          } else {
            auto facts = kind.request.family == AF_NETLINK  ? parse_netlink_diag(payload)
                         : kind.request.family == AF_PACKET ? parse_packet_diag(payload)
                                                            : parse_vsock_diag(payload);
            // Port 0 is the kernel's side of netlink: not a process's socket.
            if (facts && !(facts->family == AF_NETLINK && facts->port == 0)) {
              facts->net_ns = net_ns;
              add_entry(facts->inode, Entry::Kind::other, other_.size());
              other_.push_back(*facts);
            }
          }
        });
    if (!done) {
      const int code = done.error().code.value();
      if (code != ENOENT && code != EOPNOTSUPP && code != EPROTONOSUPPORT && code != EINVAL) {
        complain(done.error().text(), "");
      } else if (kind.tables[0] != nullptr && kind.kind != Kind::raw) {
        missing_.insert(kind.module);
      }
      for (const char* table : kind.tables) {
        if (table != nullptr) {
          load_table(pid, table, net_ns);
        }
      }
    }
  }
  return true;
}

void SocketTable::load_tables(int pid, uint32_t net_ns, const Request& request) {
  for (const SocketKind& kind : socket_kinds) {
    for (const char* table : kind.tables) {
      if (table != nullptr && request.wants(kind.kind)) {
        load_table(pid, table, net_ns);
      }
    }
  }
}

void SocketTable::load_table(int pid, const char* name, uint32_t net_ns) {
  char path[48];
  std::snprintf(path, sizeof path, "%d/net/%s", pid, name);
  std::string text;
  if (!root_.read(path, text)) {
    return;
  }
  std::string_view rest = text;
  const std::string_view table = name;
  const uint16_t family = table.ends_with('6') ? AF_INET6 : AF_INET;
  const int protocol = table.starts_with("tcp")   ? int{IPPROTO_TCP}
                       : table.starts_with("udp") ? int{IPPROTO_UDP}
                       : table == "icmp"          ? int{IPPROTO_ICMP}
                       : table == "icmp6"         ? int{IPPROTO_ICMPV6}
                                                  : int{IPPROTO_RAW};
  while (!rest.empty()) {
    const std::string_view line = next_line(rest);
    if (table == "unix") {
      if (auto facts = parse_net_unix(line)) {
        facts->net_ns = net_ns;
        add_unix(*facts);
      }
    } else if (table == "netlink" || table == "packet") {
      auto facts = table == "netlink" ? parse_net_netlink(line) : parse_net_packet(line);
      if (facts && !(table == "netlink" && facts->port == 0)) {
        facts->net_ns = net_ns;
        add_entry(facts->inode, Entry::Kind::other, other_.size());
        other_.push_back(*facts);
      }
    } else if (auto facts = parse_net_inet(line, family, static_cast<uint16_t>(protocol))) {
      facts->net_ns = net_ns;
      add_entry(facts->inode, Entry::Kind::inet, inet_.size());
      inet_.push_back(*facts);
    }
  }
}

void SocketTable::finish() {
  std::string text;
  uint32_t own_limit = UNKNOWN_U32;
  if (root_.read("sys/net/unix/max_dgram_qlen", text)) {
    std::string_view rest = text;
    own_limit = next_number<uint32_t>(rest).value_or(UNKNOWN_U32);
  }
  for (UnixFacts& facts : unix_) {
    if (facts.type == SOCK_DGRAM) {
      const auto found = datagrams_max_.find(facts.net_ns);
      facts.backlog_max = found == datagrams_max_.end() ? own_limit : found->second;
    }
  }
}

std::vector<uint64_t> SocketTable::peers_of(const std::vector<uint64_t>& inodes) const {
  std::unordered_map<std::string, uint64_t> by_ends;
  for (const InetFacts& facts : inet_) {
    if (facts.remote_port != 0 && facts.inode != 0) {
      by_ends.emplace(ends(facts, false), facts.inode);
    }
  }
  std::vector<uint64_t> peers;
  std::unordered_map<uint64_t, bool> asked;
  for (const uint64_t inode : inodes) {
    asked.emplace(inode, true);
    const Entry* entry = find(inode);
    if (entry == nullptr) {
      continue;
    }
    if (entry->kind == Entry::Kind::unix_socket) {
      const uint64_t peer = unix_[entry->index].peer_inode;
      if (peer != 0 && peer != UNKNOWN_U64) {
        peers.push_back(peer);
      }
      if (const auto listener = listeners_.find(inode); listener != listeners_.end()) {
        peers.push_back(unix_[listener->second].inode);
      }
    } else if (entry->kind == Entry::Kind::inet) {
      const auto found = by_ends.find(ends(inet_[entry->index], true));
      if (found != by_ends.end()) {
        peers.push_back(found->second);
      }
    }
  }
  // Datagram sockets that send to one that was asked for.
  for (const UnixFacts& facts : unix_) {
    if (facts.inode != 0 && facts.peer_inode != 0 && asked.contains(facts.peer_inode)) {
      peers.push_back(facts.inode);
    }
  }
  return peers;
}

void SocketTable::emit(const SocketDescriptor& descriptor, const RecordSink& sink) {
  const uint32_t at = by_inode_.find(descriptor.file.inode);
  if (at == UINT32_MAX) {
    emit_by_name(descriptor, sink);
    return;
  }
  Entry& entry = entries_[at];
  entry.seen = true;
  const file_record& file = descriptor.file;
  switch (entry.kind) {
    case Entry::Kind::unix_socket:
      emit_unix(with_owner(file, unix_[entry.index].uid), descriptor.scm_fds, unix_[entry.index],
                sink);
      break;
    case Entry::Kind::inet:
      emit_inet(with_owner(file, inet_[entry.index].uid), inet_[entry.index], sink);
      break;
    case Entry::Kind::other:
      emit_other(file, other_[entry.index], sink);
      break;
  }
}

void SocketTable::emit_unix(const file_record& file, uint32_t scm_fds, const UnixFacts& facts,
                            const RecordSink& sink) const {
  auto fact = with_file<unix_record>(file, RECORD_UNIX);
  fact.peer_inode = facts.peer_inode;
  if (facts.peer_inode != 0 && facts.peer_inode != UNKNOWN_U64) {
    fact.peer = made_identity(IdentityOf::sock, facts.peer_inode);
  } else if (facts.has_peer) {
    fact.peer = made_identity(IdentityOf::embryo, facts.inode);
  }
  fact.rx_bytes = UNKNOWN_U64;
  fact.rx_messages = UNKNOWN_U32;
  if (facts.state == tcp_listen) {
    fact.rx_bytes = 0;
    fact.rx_messages = facts.rx_queue;
  } else if (facts.rx_queue == 0) {
    // For a datagram socket: nothing, or a message without content at the front (unix_inq_len).
    fact.rx_bytes = 0;
    fact.rx_messages = 0;
  } else if (facts.rx_queue != UNKNOWN_U32 && facts.type != SOCK_DGRAM) {
    fact.rx_bytes = facts.rx_queue;
  }
  fact.wmem = facts.wmem;
  fact.sndbuf = facts.sndbuf;
  fact.backlog_max = facts.backlog_max;
  fact.fds_in_flight = scm_fds;
  fact.peer_pid = UNKNOWN_U32;
  fact.net_ns = facts.net_ns;
  fact.type = facts.type;
  fact.state = facts.state;
  fact.shutdown = facts.shutdown;
  const UnixFacts* named = &facts;
  if (facts.name_length == 0 && facts.has_peer && facts.peer_inode == 0) {
    if (const auto listener = listeners_.find(facts.inode); listener != listeners_.end()) {
      named = &unix_[listener->second];
      fact.peer_name = 1;
    }
  }
  fact.name_length = named->name_length;
  std::memcpy(fact.name, named->name, sizeof fact.name);
  sink(fact.file.head);
}

void SocketTable::emit_inet(const file_record& file, const InetFacts& facts,
                            const RecordSink& sink) {
  auto fact = with_file<inet_record>(file, RECORD_INET);
  std::memcpy(fact.local, facts.local, sizeof fact.local);
  std::memcpy(fact.remote, facts.remote, sizeof fact.remote);
  fact.family = facts.family;
  fact.protocol = facts.protocol;
  fact.local_port = facts.local_port;
  fact.remote_port = facts.remote_port;
  fact.state = facts.state;
  fact.type = facts.type;
  fact.net_ns = facts.net_ns;
  fact.rx_bytes = facts.rx_bytes;
  fact.tx_bytes = facts.tx_bytes;
  fact.rx_memory = facts.rx_memory;
  fact.rcvbuf = facts.rcvbuf;
  fact.sndbuf = facts.sndbuf;
  fact.backlog = facts.backlog;
  fact.backlog_max = facts.backlog_max;
  fact.drops = facts.drops;
  sink(fact.file.head);
}

void SocketTable::emit_other(const file_record& file, const OtherFacts& facts,
                             const RecordSink& sink) {
  auto fact = with_file<socket_record>(file, RECORD_SOCKET);
  fact.family = facts.family;
  fact.type = facts.type;
  fact.protocol = facts.protocol;
  fact.state = facts.state;
  fact.port = facts.port;
  fact.peer_port = facts.peer_port;
  fact.cid = facts.cid;
  fact.peer_cid = facts.peer_cid;
  fact.rx_memory = facts.rx_memory;
  fact.rcvbuf = facts.rcvbuf;
  fact.drops = facts.drops;
  fact.net_ns = facts.net_ns;
  if (facts.uid != UNKNOWN_U32) {
    fact.file.uid = facts.uid;
  }
  sink(fact.file.head);
}

void SocketTable::emit_by_name(const SocketDescriptor& descriptor, const RecordSink& sink) {
  // sockfs answers "system.sockprotoname" (net/socket.c) for any socket, in whatever namespace.
  char path[64];
  std::snprintf(path, sizeof path, "/proc/self/fd/%d/%u/fd/%d", root_.descriptor(),
                descriptor.file.head.pid, descriptor.file.fd);
  char name[64];
  const ssize_t length = live_ ? ::getxattr(path, "system.sockprotoname", name, sizeof name) : -1;
  std::string_view protocol(name, length > 0 ? static_cast<size_t>(length) : 0);
  protocol = protocol.substr(0, protocol.find('\0'));
  static constexpr struct {
    const char* name;
    uint16_t family, type;
  } families[] = {
      {"NETLINK", AF_NETLINK, SOCK_RAW},
      {"PACKET", AF_PACKET, SOCK_RAW},
      {"AF_VSOCK", AF_VSOCK, SOCK_STREAM},
  };
  for (const auto& each : families) {
    if (protocol == each.name) {
      OtherFacts facts;
      facts.family = each.family;
      facts.type = each.type;
      emit_other(descriptor.file, facts, sink);
      return;
    }
  }
  if (protocol.starts_with("UNIX")) {  // "UNIX" before 5.15, then also "UNIX-STREAM"
    UnixFacts facts;
    facts.inode = descriptor.file.inode;
    facts.peer_inode = UNKNOWN_U64;
    facts.type = protocol == "UNIX-STREAM" ? SOCK_STREAM : 0;
    emit_unix(descriptor.file, descriptor.scm_fds, facts, sink);
    return;
  }
  static constexpr struct {
    const char* name;
    uint16_t family, type, protocol;
  } inet[] = {
      {"TCP", AF_INET, SOCK_STREAM, IPPROTO_TCP},
      {"TCPv6", AF_INET6, SOCK_STREAM, IPPROTO_TCP},
      {"UDP", AF_INET, SOCK_DGRAM, IPPROTO_UDP},
      {"UDPv6", AF_INET6, SOCK_DGRAM, IPPROTO_UDP},
      {"MPTCP", AF_INET, SOCK_STREAM, IPPROTO_MPTCP},
      {"MPTCPv6", AF_INET6, SOCK_STREAM, IPPROTO_MPTCP},
      {"RAW", AF_INET, SOCK_RAW, 0},
      {"RAWv6", AF_INET6, SOCK_RAW, 0},
      {"PING", AF_INET, SOCK_DGRAM, IPPROTO_ICMP},
      {"PINGv6", AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6},
  };
  for (const auto& each : inet) {
    if (protocol == each.name) {
      InetFacts facts;
      facts.family = each.family;
      facts.type = each.type;
      facts.protocol = each.protocol;
      facts.state = 7;  // unbound sockets are in no table, and neither connected
      emit_inet(descriptor.file, facts, sink);
      return;
    }
  }
  unnamed_ += protocol.empty() ? 1 : 0;
}

void SocketTable::emit_unseen(const RecordSink& sink, const std::unordered_set<uint64_t>* wanted) {
  const auto unseen = [&](uint64_t inode) {
    const Entry* entry = find(inode);
    return entry != nullptr && !entry->seen && (wanted == nullptr || wanted->contains(inode));
  };
  for (const UnixFacts& facts : unix_) {
    if (unseen(facts.inode)) {
      emit_unix(unseen_file(facts.inode, facts.uid), UNKNOWN_U32, facts, sink);
    }
  }
  for (const InetFacts& facts : inet_) {
    if (unseen(facts.inode)) {
      emit_inet(unseen_file(facts.inode, facts.uid), facts, sink);
    }
  }
}

Coverage SocketTable::coverage() const {
  Coverage coverage;
  coverage.source = "sock-diag";
  coverage.checked = unix_.size() + inet_.size() + other_.size();
  coverage.unreadable = unreadable_ + unnamed_;
  coverage.reason = reason_;
  coverage.hint = hint_;
  if (reason_.empty() && !missing_.empty()) {
    for (const std::string& module : missing_) {
      coverage.reason += (coverage.reason.empty() ? "not in this kernel: " : ", ") + module;
    }
    coverage.hint = "load these modules: without them /proc/net shows no peers and fewer queues";
  }
  if (!coverage.reason.empty() || coverage.unreadable > 0) {
    coverage.state = Coverage::State::partial;
  }
  if (unreadable_ > 1) {
    coverage.reason += fmt::format(" (and {} other namespaces)", unreadable_ - 1);
  }
  return coverage;
}

}  // namespace ipcscope
