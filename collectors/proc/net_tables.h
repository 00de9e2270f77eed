// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <optional>
#include <string_view>

#include "collectors/proc/socket_facts.h"

namespace ipcscope {

/// One line of a table in /proc/PID/net, which shows less than sock_diag. Nothing for the heading
/// and for what is cut off.

/// unix: type, state, name; no peer, no queues.
std::optional<UnixFacts> parse_net_unix(std::string_view line);
/// tcp, tcp6, udp, udp6, raw, raw6, icmp.
std::optional<InetFacts> parse_net_inet(std::string_view line, uint16_t family, uint16_t protocol);
std::optional<OtherFacts> parse_net_netlink(std::string_view line);
std::optional<OtherFacts> parse_net_packet(std::string_view line);

}  // namespace ipcscope
