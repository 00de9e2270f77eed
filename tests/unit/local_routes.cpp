// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/local_routes.h"

#include <arpa/inet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <string>

using namespace ipcscope;

namespace {

InetAddress address(const char* text) {
  InetAddress found{};
  if (std::strchr(text, ':') != nullptr) {
    ::inet_pton(AF_INET6, text, found.data());
  } else {
    found[10] = found[11] = 0xff;
    ::inet_pton(AF_INET, text, &found[12]);
  }
  return found;
}

/// An answer of the kernel with one route.
std::string route(unsigned char type, const char* destination, unsigned char bits) {
  const bool is_v6 = std::strchr(destination, ':') != nullptr;
  rtmsg message{};
  message.rtm_family = is_v6 ? AF_INET6 : AF_INET;
  message.rtm_dst_len = bits;
  message.rtm_type = type;
  std::string body(reinterpret_cast<const char*>(&message), sizeof message);
  const InetAddress to = address(destination);
  const size_t bytes = is_v6 ? 16 : 4;
  if (bits > 0) {
    rtattr attribute{static_cast<unsigned short>(sizeof attribute + bytes), RTA_DST};
    body.append(reinterpret_cast<const char*>(&attribute), sizeof attribute);
    body.append(reinterpret_cast<const char*>(&to[16 - bytes]), bytes);
  }
  nlmsghdr head{};
  head.nlmsg_len = static_cast<unsigned>(sizeof head + body.size());
  head.nlmsg_type = RTM_NEWROUTE;
  return std::string(reinterpret_cast<const char*>(&head), sizeof head) + body;
}

bool take(LocalRoutes& routes, const std::string& answer) {
  return routes.parse(std::as_bytes(std::span(answer)));
}

}  // namespace

TEST_CASE("an address is here when a local route leads to it") {
  LocalRoutes routes;
  CHECK(take(routes, route(RTN_LOCAL, "127.0.0.0", 8) + route(RTN_LOCAL, "10.1.2.3", 32) +
                         route(RTN_UNICAST, "192.168.0.0", 16) + route(RTN_LOCAL, "fd00::", 12) +
                         route(RTN_BROADCAST, "10.1.2.255", 32)));
  for (const char* here : {"127.4.5.6", "10.1.2.3", "10.1.2.255", "fd0f::1", "224.0.0.1",
                           "255.255.255.255", "ff02::1"}) {
    CAPTURE(here);
    CHECK(routes.is_here(address(here)));
  }
  for (const char* there : {"10.1.2.4", "192.168.3.4", "126.255.255.255", "fd10::1", "2001::1"}) {
    CAPTURE(there);
    CHECK_FALSE(routes.is_here(address(there)));
  }
}

TEST_CASE("a proxy's default route makes every address local") {
  LocalRoutes routes;
  CHECK(take(routes, route(RTN_LOCAL, "0.0.0.0", 0)));
  CHECK(routes.is_here(address("8.8.8.8")));
  CHECK_FALSE(routes.is_here(address("2001::1")));
}

TEST_CASE("routes that are cut are refused") {
  const std::string whole = route(RTN_LOCAL, "10.1.2.3", 32);
  for (size_t size = 1; size < whole.size(); size++) {
    CAPTURE(size);
    LocalRoutes routes;
    CHECK_FALSE(take(routes, whole.substr(0, size)));
  }
}

TEST_CASE("this host's own addresses are here") {
  LocalRoutes routes;
  CHECK_FALSE(routes.leads_elsewhere(address("127.0.0.1")));
}
