// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/local_routes.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "collectors/base/fd.h"

namespace ipcscope {

namespace {

constexpr unsigned mapped_bits = 96;
constexpr size_t most_bytes = 4 << 20;  // a router's tables are not worth it

bool is_mapped(const InetAddress& address) {
  static constexpr uint8_t prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  return std::memcmp(address.data(), prefix, sizeof prefix) == 0;
}

/// Multicast and what is above it: such a datagram comes back.
bool is_for_many(const InetAddress& address) {
  return is_mapped(address) ? address[12] >= 224 : address[0] == 0xff;
}

bool has_prefix(const InetAddress& address, const InetAddress& prefix, unsigned bits) {
  const size_t bytes = bits / 8;
  if (std::memcmp(address.data(), prefix.data(), bytes) != 0) {
    return false;
  }
  const unsigned rest = bits % 8;
  return rest == 0 || (address[bytes] ^ prefix[bytes]) >> (8 - rest) == 0;
}

}  // namespace

bool LocalRoutes::is_here(const InetAddress& address) const {
  return is_for_many(address) ||
         std::any_of(routes_.begin(), routes_.end(), [&](const Route& route) {
           return has_prefix(address, route.address, route.bits);
         });
}

bool LocalRoutes::leads_elsewhere(const InetAddress& address) {
  if (state_ == State::unread) {
    state_ = read(AF_INET) && read(AF_INET6) ? State::read : State::failed;
  }
  return state_ == State::read && !is_here(address);
}

bool LocalRoutes::parse(std::span<const std::byte> answer) {
  while (answer.size() >= sizeof(nlmsghdr)) {
    nlmsghdr head;
    std::memcpy(&head, answer.data(), sizeof head);
    if (head.nlmsg_len < sizeof head || head.nlmsg_len > answer.size()) {
      return false;
    }
    if (head.nlmsg_type == NLMSG_DONE || head.nlmsg_type == NLMSG_ERROR) {
      ended_ = head.nlmsg_type == NLMSG_DONE;
      return false;
    }
    std::span<const std::byte> body = answer.subspan(sizeof head, head.nlmsg_len - sizeof head);
    rtmsg route;
    if (head.nlmsg_type == RTM_NEWROUTE && body.size() >= sizeof route) {
      std::memcpy(&route, body.data(), sizeof route);
      const bool is_inet = route.rtm_family == AF_INET;
      const size_t bytes = is_inet ? 4 : 16;
      const bool is_ours = route.rtm_type == RTN_LOCAL || route.rtm_type == RTN_BROADCAST ||
                           route.rtm_type == RTN_ANYCAST || route.rtm_type == RTN_MULTICAST;
      Route found;
      found.bits = static_cast<uint8_t>(route.rtm_dst_len + (is_inet ? mapped_bits : 0));
      if (is_inet) {
        found.address[10] = found.address[11] = 0xff;
      }
      body = body.subspan(NLMSG_ALIGN(sizeof route));
      while (is_ours && body.size() >= sizeof(rtattr)) {
        rtattr attribute;
        std::memcpy(&attribute, body.data(), sizeof attribute);
        if (attribute.rta_len < sizeof attribute || attribute.rta_len > body.size()) {
          return false;
        }
        if (attribute.rta_type == RTA_DST && attribute.rta_len >= sizeof attribute + bytes) {
          std::memcpy(&found.address[16 - bytes], body.data() + sizeof attribute, bytes);
        }
        body = body.subspan(std::min<size_t>(body.size(), RTA_ALIGN(attribute.rta_len)));
      }
      if (is_ours && found.bits <= 128) {  // a default route has no RTA_DST
        routes_.push_back(found);
      }
    }
    answer = answer.subspan(std::min<size_t>(answer.size(), NLMSG_ALIGN(head.nlmsg_len)));
  }
  return answer.empty();
}

bool LocalRoutes::read(int family) {
  const Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  struct {
    nlmsghdr head;
    rtmsg route;
  } request{};
  request.head.nlmsg_len = sizeof request;
  request.head.nlmsg_type = RTM_GETROUTE;
  request.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.route.rtm_family = static_cast<unsigned char>(family);
  if (!socket || ::send(socket.get(), &request, sizeof request, 0) < 0) {
    return false;
  }
  ended_ = false;
  std::vector<std::byte> answer(64 << 10);
  for (size_t bytes = 0; bytes < most_bytes;) {
    const ssize_t got = ::recv(socket.get(), answer.data(), answer.size(), MSG_TRUNC);
    if (got <= 0 || static_cast<size_t>(got) > answer.size()) {
      return false;
    }
    bytes += static_cast<size_t>(got);
    if (!parse(std::span(answer).first(static_cast<size_t>(got)))) {
      return ended_;
    }
  }
  return false;
}

}  // namespace ipcscope
