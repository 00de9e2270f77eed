// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "collectors/base/proc_root.h"

namespace ipcscope {

/// How many TCP sockets there are, of IPv4 and IPv6 together.
struct TcpCounts {
  uint64_t in_use = 0;     ///< in any state but TIME_WAIT
  uint64_t time_wait = 0;  ///< nobody's any more
};

/// From WHOSE/net/sockstat and sockstat6, which the kernel counts in step (Linux 6.18
/// net/ipv4/proc.c, sockstat_seq_show). Nothing when it cannot be read.
std::optional<TcpCounts> read_tcp_counts(const ProcRoot& proc, const std::string& whose);

/// How many ports of the inclusive range first..last the list "8080,9148-9150" has.
uint64_t reserved_ports(std::string_view list, uint64_t first, uint64_t last);

/// Where most of the local ports of a range go. connect() needs one that is free for the pair of
/// addresses and the port that it goes to (Linux 6.18 net/ipv4/inet_hashtables.c,
/// __inet_hash_connect): another place has all of them to itself.
struct PortUse {
  uint64_t ports = 0;       ///< different ones
  uint64_t time_wait = 0;   ///< of these, only in TIME_WAIT
  std::string destination;  ///< "127.0.0.1:8080", "[::1]:8080"
  std::vector<uint64_t> inodes;
};

/// From WHOSE/net/tcp and tcp6: linear in the connections. Nothing when neither can be read.
std::optional<PortUse> read_port_use(const ProcRoot& proc, const std::string& whose, uint64_t first,
                                     uint64_t last);

}  // namespace ipcscope
