// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/proc/net_tables.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "collectors/base/parse.h"

namespace ipcscope {

namespace {

constexpr uint16_t tcp_established = 1, tcp_close = 7, tcp_listen = 10;
constexpr uint32_t accepting = 1U << 16;  // __SO_ACCEPTCON
constexpr uint32_t connected = 3;         // SS_CONNECTED

/// "0100007F:1F90": words of an address as the machine stores them, and a port.
bool take_address(std::string_view text, size_t bytes, uint8_t (&address)[16], uint16_t& port) {
  const size_t colon = text.find(':');
  if (colon != bytes * 2) {
    return false;
  }
  for (size_t at = 0; at < bytes; at += 4) {
    const auto word = parse_number<uint32_t>(text.substr(at * 2, 8), 16);
    if (!word) {
      return false;
    }
    std::memcpy(address + at, &*word, 4);
  }
  const auto number = parse_number<uint16_t>(text.substr(colon + 1), 16);
  port = number.value_or(0);
  return number.has_value();
}

}  // namespace

std::optional<UnixFacts> parse_net_unix(std::string_view line) {
  UnixFacts facts;
  const std::string_view address = next_word(line);
  next_word(line);  // references
  next_word(line);  // protocol
  const auto flags = next_number<uint32_t>(line, 16);
  const auto type = next_number<uint16_t>(line, 16);
  const auto state = next_number<uint32_t>(line, 16);
  const auto inode = next_number<uint64_t>(line);
  if (address.empty() || address.back() != ':' || !flags || !type || !state || !inode) {
    return std::nullopt;
  }
  facts.inode = *inode;
  facts.type = *type;
  facts.state = (*flags & accepting) != 0 ? tcp_listen
                : *state == connected     ? tcp_established
                                          : tcp_close;
  facts.peer_inode = facts.state == tcp_listen ? 0 : UNKNOWN_U64;
  if (line.starts_with(' ')) {
    line.remove_prefix(1);
    facts.name_length = static_cast<uint16_t>(std::min(line.size(), sizeof facts.name));
    std::memcpy(facts.name, line.data(), facts.name_length);
    if (facts.name_length > 0 && facts.name[0] == '@') {
      // unix_seq_show prints every NUL of an abstract name as '@'; the first one is certain.
      facts.name[0] = '\0';
    }
  }
  return facts;
}

std::optional<InetFacts> parse_net_inet(std::string_view line, uint16_t family, uint16_t protocol) {
  InetFacts facts;
  facts.family = family;
  facts.protocol = protocol;
  const size_t bytes = family == AF_INET ? 4 : 16;
  const std::string_view slot = next_word(line);
  const std::string_view local = next_word(line);
  const std::string_view remote = next_word(line);
  const auto state = next_number<uint16_t>(line, 16);
  std::string_view queues = next_word(line);
  next_word(line);  // timer
  next_word(line);  // retransmissions
  const auto uid = next_number<uint32_t>(line);
  next_word(line);  // timeout
  const auto inode = next_number<uint64_t>(line);
  const auto tx = parse_number<uint32_t>(next_word(queues, ":"), 16);
  const auto rx = parse_number<uint32_t>(next_word(queues, ":"), 16);
  if (slot.empty() || slot.back() != ':' ||
      !take_address(local, bytes, facts.local, facts.local_port) ||
      !take_address(remote, bytes, facts.remote, facts.remote_port) || !state || !uid || !inode ||
      !tx || !rx) {
    return std::nullopt;
  }
  facts.state = *state;
  facts.uid = *uid;
  facts.inode = *inode;
  if (protocol == IPPROTO_TCP) {
    facts.type = SOCK_STREAM;
    if (facts.state == tcp_listen) {
      facts.backlog = *rx;  // get_tcp4_sock in net/ipv4/tcp_ipv4.c
      facts.rx_bytes = 0;
      facts.tx_bytes = 0;
    } else {
      facts.rx_bytes = *rx;
      facts.tx_bytes = *tx;
    }
    return facts;
  }
  facts.rx_memory = *rx;
  facts.rx_bytes = *rx == 0 ? 0 : UNKNOWN_U64;
  next_word(line);  // references
  next_word(line);  // address
  facts.drops = next_number<uint32_t>(line).value_or(UNKNOWN_U32);
  facts.type = SOCK_DGRAM;
  if (protocol == IPPROTO_RAW) {
    facts.type = SOCK_RAW;
    facts.protocol = facts.local_port;
  }
  return facts;
}

std::optional<OtherFacts> parse_net_netlink(std::string_view line) {
  OtherFacts facts;
  facts.family = AF_NETLINK;
  facts.type = SOCK_RAW;
  const std::string_view address = next_word(line);
  const auto protocol = next_number<uint16_t>(line);
  const auto port = next_number<uint32_t>(line);
  next_word(line);  // groups
  const auto rx = next_number<uint32_t>(line);
  next_word(line);  // wmem
  next_word(line);  // dump
  next_word(line);  // locks
  const auto drops = next_number<uint32_t>(line);
  const auto inode = next_number<uint64_t>(line);
  if (address.empty() || !protocol || !port || !rx || !drops || !inode) {
    return std::nullopt;
  }
  facts.protocol = *protocol;
  facts.port = *port;
  facts.rx_memory = *rx;
  facts.drops = *drops;
  facts.inode = *inode;
  return facts;
}

std::optional<OtherFacts> parse_net_packet(std::string_view line) {
  OtherFacts facts;
  facts.family = AF_PACKET;
  const std::string_view address = next_word(line);
  next_word(line);  // references
  const auto type = next_number<uint16_t>(line);
  const auto protocol = next_number<uint16_t>(line, 16);
  next_word(line);  // interface
  next_word(line);  // running
  const auto rx = next_number<uint32_t>(line);
  next_word(line);  // user
  const auto inode = next_number<uint64_t>(line);
  if (address.empty() || !type || !protocol || !rx || !inode) {
    return std::nullopt;
  }
  facts.type = *type;
  facts.protocol = *protocol;
  facts.rx_memory = *rx;
  facts.inode = *inode;
  return facts;
}

}  // namespace ipcscope
