// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "bpf/record.h"

namespace ipcscope {

/// Address and port, IPv4 as its mapped IPv6 address, so that both ends of a connection between an
/// IPv4 and a dual-stack socket compare equal.
struct InetName {
  std::array<uint8_t, 16> address{};
  uint16_t port = 0;
  bool operator==(const InetName&) const = default;
  bool operator<(const InetName& other) const;
  [[nodiscard]] bool empty() const { return *this == InetName{}; }
  [[nodiscard]] bool is_mapped() const;
};

/// Of what the kernel keeps: the first four bytes of an IPv4 address are it. port: in the order of
/// this machine. family: AF_INET or AF_INET6.
InetName make_inet_name(const u8 (&address)[16], uint16_t port, uint16_t family);
/// Appends "127.0.0.1:80", "[::1]:80"; what is empty has the form of its family.
void append_inet_name(std::string& out, const InetName& name, uint16_t family);
/// Whether both ends of a connection are on this host, in one network namespace.
bool is_within_host(const InetName& local, const InetName& remote);

}  // namespace ipcscope
