// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/inet_name.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/socket.h>

#include <cstring>
#include <tuple>

namespace ipcscope {

bool InetName::operator<(const InetName& other) const {
  return std::tie(address, port) < std::tie(other.address, other.port);
}

bool InetName::is_mapped() const {
  static constexpr uint8_t prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  return std::memcmp(address.data(), prefix, sizeof prefix) == 0;
}

InetName make_inet_name(const u8 (&address)[16], uint16_t port, uint16_t family) {
  InetName name;
  name.port = port;
  if (family == AF_INET6) {
    std::memcpy(name.address.data(), address, 16);
  } else if (address[0] != 0 || address[1] != 0 || address[2] != 0 || address[3] != 0) {
    name.address[10] = name.address[11] = 0xff;
    std::memcpy(name.address.data() + 12, address, 4);
  }
  return name;
}

void append_inet_name(std::string& out, const InetName& name, uint16_t family) {
  char text[INET6_ADDRSTRLEN];
  if (name.is_mapped()) {
    ::inet_ntop(AF_INET, name.address.data() + 12, text, sizeof text);
    out += text;
  } else if (family == AF_INET) {
    out += "0.0.0.0";
  } else {
    ::inet_ntop(AF_INET6, name.address.data(), text, sizeof text);
    out += '[';
    out += text;
    out += ']';
  }
  out += ':';
  out += fmt::format_int(name.port).c_str();
}

bool is_within_host(const InetName& local, const InetName& remote) {
  static constexpr std::array<uint8_t, 16> loopback = {0, 0, 0, 0, 0, 0, 0, 0,
                                                       0, 0, 0, 0, 0, 0, 0, 1};
  return remote.address == local.address || remote.address == loopback ||
         (remote.is_mapped() && remote.address[12] == 127);
}

}  // namespace ipcscope
