// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/proc/sock_diag.h"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/netlink_diag.h>
#include <linux/packet_diag.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <linux/vm_sockets_diag.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <memory>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

namespace ipcscope {

namespace {

constexpr uint32_t all_states = 0xffffffffU;
constexpr uint16_t tcp_listen = 10;  // TCP_LISTEN in include/net/tcp_states.h
constexpr size_t datagram_bytes = size_t{256} << 10;
/// The kernel answers a dump at once; this is for one that never does.
constexpr int answer_limit_ms = 5000;

template <typename T>
std::optional<T> copy_front(std::span<const std::byte> bytes) {
  if (bytes.size() < sizeof(T)) {
    return std::nullopt;
  }
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

constexpr size_t aligned(size_t size) { return (size + 3) & ~size_t{3}; }

/// Calls each(type, value) for the attributes behind a fixed part of size bytes.
template <typename Each>
void for_each_attribute(std::span<const std::byte> payload, size_t size, Each&& each) {
  size_t at = aligned(size);
  while (at + sizeof(rtattr) <= payload.size()) {
    const auto head = copy_front<rtattr>(payload.subspan(at));
    if (!head || head->rta_len < sizeof(rtattr) || head->rta_len > payload.size() - at) {
      return;
    }
    each(static_cast<uint16_t>(head->rta_type & 0x3fff),
         payload.subspan(at + sizeof(rtattr), head->rta_len - sizeof(rtattr)));
    at += aligned(head->rta_len);
  }
}

/// One number of a SK_MEMINFO_* array, which grew over time.
uint32_t meminfo(std::span<const std::byte> value, size_t index) {
  return value.size() < (index + 1) * 4
             ? UNKNOWN_U32
             : copy_front<uint32_t>(value.subspan(index * 4)).value_or(UNKNOWN_U32);
}

}  // namespace

std::optional<UnixAnswer> parse_unix_diag(std::span<const std::byte> payload) {
  const auto head = copy_front<unix_diag_msg>(payload);
  if (!head || head->udiag_family != AF_UNIX) {
    return std::nullopt;
  }
  UnixAnswer answer;
  UnixFacts& facts = answer.facts;
  facts.inode = head->udiag_ino;
  facts.type = head->udiag_type;
  facts.state = head->udiag_state;
  uint32_t tx_queue = UNKNOWN_U32;
  for_each_attribute(payload, sizeof *head, [&](uint16_t type, std::span<const std::byte> value) {
    switch (type) {
      case UNIX_DIAG_NAME: {
        size_t length = std::min(value.size(), sizeof facts.name);
        std::memcpy(facts.name, value.data(), length);
        // A path comes with its NUL, an abstract name begins with one and may end with others.
        while (length > 0 && facts.name[0] != '\0' && facts.name[length - 1] == '\0') {
          length--;
        }
        facts.name_length = static_cast<uint16_t>(length);
        break;
      }
      case UNIX_DIAG_VFS:
        if (const auto file = copy_front<unix_diag_vfs>(value)) {
          answer.file = {file->udiag_vfs_ino, file->udiag_vfs_dev};
        }
        break;
      case UNIX_DIAG_PEER:
        if (const auto peer = copy_front<uint32_t>(value)) {
          facts.has_peer = true;
          facts.peer_inode = *peer;
        }
        break;
      case UNIX_DIAG_ICONS:
        for (size_t at = 0; at + 4 <= value.size(); at += 4) {
          answer.waiting.push_back(copy_front<uint32_t>(value.subspan(at)).value_or(0));
        }
        break;
      case UNIX_DIAG_RQLEN:
        if (const auto queue = copy_front<unix_diag_rqlen>(value)) {
          facts.rx_queue = queue->udiag_rqueue;
          tx_queue = queue->udiag_wqueue;
        }
        break;
      case UNIX_DIAG_MEMINFO:
        facts.wmem = meminfo(value, SK_MEMINFO_WMEM_ALLOC);
        facts.sndbuf = meminfo(value, SK_MEMINFO_SNDBUF);
        break;
      case UNIX_DIAG_SHUTDOWN:
        if (const auto shutdown = copy_front<uint8_t>(value)) {
          facts.shutdown = *shutdown & 3;
        }
        break;
      case UNIX_DIAG_UID:
        facts.uid = copy_front<uint32_t>(value).value_or(UNKNOWN_U32);
        break;
      default:
        break;
    }
  });
  if (facts.state == tcp_listen) {
    facts.backlog_max = tx_queue;  // sk_diag_show_rqlen in net/unix/diag.c
  }
  return answer;
}

std::optional<InetFacts> parse_inet_diag(std::span<const std::byte> payload, uint16_t protocol) {
  const auto head = copy_front<inet_diag_msg>(payload);
  if (!head || (head->idiag_family != AF_INET && head->idiag_family != AF_INET6)) {
    return std::nullopt;
  }
  InetFacts facts;
  facts.inode = head->idiag_inode;
  facts.family = head->idiag_family;
  facts.protocol = protocol;
  facts.type = protocol == IPPROTO_UDP   ? SOCK_DGRAM
               : protocol == IPPROTO_RAW ? SOCK_RAW
                                         : SOCK_STREAM;
  facts.state = head->idiag_state;
  facts.uid = head->idiag_uid;
  const size_t address = facts.family == AF_INET ? 4 : 16;
  std::memcpy(facts.local, head->id.idiag_src, address);
  std::memcpy(facts.remote, head->id.idiag_dst, address);
  facts.local_port = ntohs(head->id.idiag_sport);
  facts.remote_port = ntohs(head->id.idiag_dport);
  if (protocol == IPPROTO_RAW) {
    facts.protocol = facts.local_port;  // a raw socket's "port" is its protocol
  }
  if (facts.state == tcp_listen && protocol != IPPROTO_UDP && protocol != IPPROTO_RAW) {
    facts.backlog = head->idiag_rqueue;
    facts.backlog_max = head->idiag_wqueue;
    facts.rx_bytes = 0;
    facts.tx_bytes = 0;
  } else {
    facts.rx_bytes = head->idiag_rqueue;
    facts.tx_bytes = head->idiag_wqueue;
  }
  for_each_attribute(payload, sizeof *head, [&](uint16_t type, std::span<const std::byte> value) {
    if (type == INET_DIAG_SKMEMINFO) {
      facts.rx_memory = meminfo(value, SK_MEMINFO_RMEM_ALLOC);
      facts.rcvbuf = meminfo(value, SK_MEMINFO_RCVBUF);
      facts.sndbuf = meminfo(value, SK_MEMINFO_SNDBUF);
      facts.drops = meminfo(value, SK_MEMINFO_DROPS);
    }
  });
  if (protocol == IPPROTO_UDP) {
    // The queues of UDP are told in memory with its overhead (udp_diag_get_info): no bytes of data.
    facts.rx_bytes = head->idiag_rqueue == 0 ? 0 : UNKNOWN_U64;
    facts.tx_bytes = UNKNOWN_U64;
  }
  return facts;
}

std::optional<OtherFacts> parse_netlink_diag(std::span<const std::byte> payload) {
  const auto head = copy_front<netlink_diag_msg>(payload);
  if (!head || head->ndiag_family != AF_NETLINK) {
    return std::nullopt;
  }
  OtherFacts facts;
  facts.inode = head->ndiag_ino;
  facts.family = AF_NETLINK;
  facts.type = head->ndiag_type;
  facts.protocol = head->ndiag_protocol;
  facts.state = head->ndiag_state;
  facts.port = head->ndiag_portid;
  for_each_attribute(payload, sizeof *head, [&](uint16_t type, std::span<const std::byte> value) {
    if (type == NETLINK_DIAG_MEMINFO) {
      facts.rx_memory = meminfo(value, SK_MEMINFO_RMEM_ALLOC);
      facts.rcvbuf = meminfo(value, SK_MEMINFO_RCVBUF);
      facts.drops = meminfo(value, SK_MEMINFO_DROPS);
    }
  });
  return facts;
}

std::optional<OtherFacts> parse_packet_diag(std::span<const std::byte> payload) {
  const auto head = copy_front<packet_diag_msg>(payload);
  if (!head || head->pdiag_family != AF_PACKET) {
    return std::nullopt;
  }
  OtherFacts facts;
  facts.inode = head->pdiag_ino;
  facts.family = AF_PACKET;
  facts.type = head->pdiag_type;
  facts.protocol = head->pdiag_num;
  for_each_attribute(payload, sizeof *head, [&](uint16_t type, std::span<const std::byte> value) {
    if (type == PACKET_DIAG_MEMINFO) {
      facts.rx_memory = meminfo(value, SK_MEMINFO_RMEM_ALLOC);
      facts.rcvbuf = meminfo(value, SK_MEMINFO_RCVBUF);
      facts.drops = meminfo(value, SK_MEMINFO_DROPS);
    } else if (type == PACKET_DIAG_UID) {
      facts.uid = copy_front<uint32_t>(value).value_or(UNKNOWN_U32);
    }
  });
  return facts;
}

std::optional<OtherFacts> parse_vsock_diag(std::span<const std::byte> payload) {
  const auto head = copy_front<vsock_diag_msg>(payload);
  if (!head || head->vdiag_family != AF_VSOCK) {
    return std::nullopt;
  }
  OtherFacts facts;
  facts.inode = head->vdiag_ino;
  facts.family = AF_VSOCK;
  facts.type = head->vdiag_type;
  facts.state = head->vdiag_state;
  facts.port = head->vdiag_src_port;
  facts.cid = head->vdiag_src_cid;
  facts.peer_port = head->vdiag_dst_port;
  facts.peer_cid = head->vdiag_dst_cid;
  return facts;
}

void for_each_message(
    std::span<const std::byte> datagram,
    const std::function<void(uint16_t type, std::span<const std::byte> payload)>& each) {
  while (true) {
    const auto head = copy_front<nlmsghdr>(datagram);
    if (!head || head->nlmsg_len < sizeof(nlmsghdr) || head->nlmsg_len > datagram.size()) {
      return;
    }
    each(head->nlmsg_type, datagram.subspan(sizeof(nlmsghdr), head->nlmsg_len - sizeof(nlmsghdr)));
    datagram = datagram.subspan(std::min(datagram.size(), aligned(head->nlmsg_len)));
  }
}

namespace {

/// Sends a request of a fixed part and, for protocols above 255, an attribute.
template <typename T>
bool send_request(int netlink, const T& body, std::optional<uint32_t> protocol = {}) {
  struct {
    nlmsghdr head;
    T body;
    rtattr attribute;
    uint32_t value;
  } message{};
  static_assert(sizeof(T) % 4 == 0);
  message.head.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  message.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  message.body = body;
  size_t length = sizeof message.head + sizeof message.body;
  if (protocol) {
    message.attribute.rta_type = INET_DIAG_REQ_PROTOCOL;
    message.attribute.rta_len = sizeof message.attribute + sizeof message.value;
    message.value = *protocol;
    length += message.attribute.rta_len;
  }
  message.head.nlmsg_len = static_cast<uint32_t>(length);
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  return ::sendto(netlink, &message, length, 0, reinterpret_cast<const sockaddr*>(&kernel),
                  sizeof kernel) == static_cast<ssize_t>(length);
}

bool send_request(int netlink, const DiagRequest& request) {
  switch (request.family) {
    case AF_UNIX: {
      unix_diag_req body{};
      body.sdiag_family = AF_UNIX;
      body.udiag_states = all_states;
      body.udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_PEER | UDIAG_SHOW_ICONS | UDIAG_SHOW_RQLEN |
                        UDIAG_SHOW_MEMINFO | UDIAG_SHOW_UID;
      if (request.files) {
        body.udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_VFS;
      }
      return send_request(netlink, body);
    }
    case AF_NETLINK: {
      netlink_diag_req body{};
      body.sdiag_family = AF_NETLINK;
      body.sdiag_protocol = NDIAG_PROTO_ALL;
      body.ndiag_show = NDIAG_SHOW_MEMINFO;
      return send_request(netlink, body);
    }
    case AF_PACKET: {
      packet_diag_req body{};
      body.sdiag_family = AF_PACKET;
      body.pdiag_show = PACKET_SHOW_INFO | PACKET_SHOW_MEMINFO;  // the first has the user
      return send_request(netlink, body);
    }
    case AF_VSOCK: {
      vsock_diag_req body{};
      body.sdiag_family = AF_VSOCK;
      body.vdiag_states = all_states;
      return send_request(netlink, body);
    }
    default: {
      inet_diag_req_v2 body{};
      body.sdiag_family = request.family;
      body.sdiag_protocol = static_cast<uint8_t>(request.protocol);
      body.idiag_ext = 1U << (INET_DIAG_SKMEMINFO - 1);
      body.idiag_states = all_states & ~(1U << 6);  // TCP_TIME_WAIT: without a process
      return send_request(
          netlink, body,
          request.protocol > 255 ? std::optional<uint32_t>(request.protocol) : std::nullopt);
    }
  }
}

}  // namespace

Result<void> dump_sockets(int netlink, const DiagRequest& request,
                          const std::function<void(std::span<const std::byte> payload)>& each) {
  if (!send_request(netlink, request)) {
    return system_failure("sock_diag");
  }
  // Large, because the kernel sizes its answers after the buffer of the reader.
  const std::unique_ptr<std::byte[]> buffer(new std::byte[datagram_bytes]);
  int number = 0;
  bool done = false;
  while (!done) {
    pollfd ready = {netlink, POLLIN, 0};
    const int polled = ::poll(&ready, 1, answer_limit_ms);
    if (polled < 0 && errno == EINTR) {
      continue;
    }
    if (polled == 0) {
      return system_failure("sock_diag", ETIMEDOUT);
    }
    const ssize_t got = ::recv(netlink, buffer.get(), datagram_bytes, 0);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got <= 0) {
      return system_failure("sock_diag", got == 0 ? EIO : errno);
    }
    for_each_message({buffer.get(), static_cast<size_t>(got)},
                     [&](uint16_t type, std::span<const std::byte> payload) {
                       if (type == NLMSG_ERROR || type == NLMSG_DONE) {
                         const auto result = copy_front<int32_t>(payload);
                         number = result && *result < 0 ? -*result : 0;
                         done = true;
                       } else if (type == SOCK_DIAG_BY_FAMILY) {
                         each(payload);
                       }
                     });
  }
  return number == 0 ? Result<void>() : Result<void>(system_failure("sock_diag", number));
}

}  // namespace ipcscope
