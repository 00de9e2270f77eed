// SPDX-License-Identifier: GPL-2.0-or-later
#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink_diag.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <string>
#include <vector>

#include "collectors/proc/net_tables.h"
#include "collectors/proc/sock_diag.h"

using namespace ipcscope;

namespace {

/// Builds what the kernel answers.
class Message {
 public:
  template <typename T>
  Message& add(const T& value) {
    return add_bytes(&value, sizeof value);
  }
  template <typename T>
  Message& attribute(uint16_t type, const T& value) {
    return attribute_bytes(type, &value, sizeof value);
  }
  Message& attribute_bytes(uint16_t type, const void* data, size_t size) {
    rtattr head{};
    head.rta_type = type;
    head.rta_len = static_cast<uint16_t>(sizeof head + size);
    add(head);
    return add_bytes(data, size);
  }
  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }

 private:
  Message& add_bytes(const void* data, size_t size) {
    const auto* begin = static_cast<const std::byte*>(data);
    bytes_.insert(bytes_.end(), begin, begin + size);
    bytes_.resize((bytes_.size() + 3) & ~size_t{3});
    return *this;
  }
  std::vector<std::byte> bytes_;
};

std::string name_of(const UnixFacts& facts) { return {facts.name, facts.name_length}; }

}  // namespace

TEST_CASE("sock_diag: a UNIX listener with waiting connections", "[proc]") {
  unix_diag_msg head{};
  head.udiag_family = AF_UNIX;
  head.udiag_type = SOCK_STREAM;
  head.udiag_state = 10;
  head.udiag_ino = 77;
  const uint32_t waiting[] = {78, 79};
  const unix_diag_rqlen queue = {2, 128};
  const uint32_t memory[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  Message message;
  message.add(head)
      .attribute_bytes(UNIX_DIAG_NAME, "/run/x\0", 7)
      .attribute(UNIX_DIAG_ICONS, waiting)
      .attribute(UNIX_DIAG_RQLEN, queue)
      .attribute(UNIX_DIAG_MEMINFO, memory)
      .attribute(UNIX_DIAG_SHUTDOWN, uint8_t{2});
  const auto answer = parse_unix_diag(message.bytes());
  REQUIRE(answer);
  CHECK(answer->facts.inode == 77);
  CHECK(name_of(answer->facts) == "/run/x");
  CHECK(answer->waiting == std::vector<uint32_t>{78, 79});
  CHECK(answer->facts.rx_queue == 2);
  CHECK(answer->facts.backlog_max == 128);
  CHECK(answer->facts.wmem == 3);
  CHECK(answer->facts.sndbuf == 4);
  CHECK(answer->facts.shutdown == 2);
  CHECK_FALSE(answer->facts.has_peer);
  // Cut off anywhere: no crash, and no more than was there.
  for (size_t size = 0; size < message.bytes().size(); size++) {
    const auto part = parse_unix_diag(message.bytes().first(size));
    CHECK(part.has_value() == (size >= sizeof head));
  }
}

TEST_CASE("sock_diag: an abstract name keeps its NULs; a peer that was not accepted", "[proc]") {
  unix_diag_msg head{};
  head.udiag_family = AF_UNIX;
  head.udiag_state = 1;
  Message message;
  message.add(head)
      .attribute_bytes(UNIX_DIAG_NAME, "\0a\0", 3)
      .attribute(UNIX_DIAG_PEER, uint32_t{0});
  const auto answer = parse_unix_diag(message.bytes());
  REQUIRE(answer);
  CHECK(name_of(answer->facts) == std::string("\0a\0", 3));
  CHECK(answer->facts.has_peer);
  CHECK(answer->facts.peer_inode == 0);
}

TEST_CASE("sock_diag: TCP listener and connection, UDP", "[proc]") {
  inet_diag_msg head{};
  head.idiag_family = AF_INET;
  head.idiag_state = 10;
  head.idiag_rqueue = 3;
  head.idiag_wqueue = 128;
  head.idiag_uid = 1000;
  head.idiag_inode = 55;
  head.id.idiag_sport = htons(8080);
  head.id.idiag_src[0] = htonl(INADDR_LOOPBACK);
  const uint32_t memory[] = {11, 12, 13, 14, 15, 16, 17, 18, 19};
  Message listener;
  listener.add(head).attribute(INET_DIAG_SKMEMINFO, memory);
  const auto facts = parse_inet_diag(listener.bytes(), IPPROTO_TCP);
  REQUIRE(facts);
  CHECK(facts->backlog == 3);
  CHECK(facts->backlog_max == 128);
  CHECK(facts->local_port == 8080);
  CHECK(facts->local[0] == 127);
  CHECK(facts->rcvbuf == 12);
  CHECK(facts->drops == 19);
  CHECK(facts->type == SOCK_STREAM);

  head.idiag_state = 1;
  Message connection;
  connection.add(head);
  const auto connected = parse_inet_diag(connection.bytes(), IPPROTO_TCP);
  REQUIRE(connected);
  CHECK(connected->rx_bytes == 3);
  CHECK(connected->tx_bytes == 128);
  CHECK(connected->backlog == UNKNOWN_U32);
  const auto datagram = parse_inet_diag(connection.bytes(), IPPROTO_UDP);
  REQUIRE(datagram);
  CHECK(datagram->rx_bytes == UNKNOWN_U64);
}

TEST_CASE("sock_diag: netlink answers and a cut-off datagram", "[proc]") {
  netlink_diag_msg head{};
  head.ndiag_family = AF_NETLINK;
  head.ndiag_protocol = 15;
  head.ndiag_portid = 4242;
  head.ndiag_ino = 9;
  Message message;
  message.add(head);
  const auto facts = parse_netlink_diag(message.bytes());
  REQUIRE(facts);
  CHECK(facts->protocol == 15);
  CHECK(facts->port == 4242);

  nlmsghdr outer{};
  outer.nlmsg_len = 20;
  outer.nlmsg_type = 20;
  Message datagram;
  datagram.add(outer).add(uint32_t{1}).add(outer).add(uint32_t{2});
  int count = 0;
  for_each_message(datagram.bytes(), [&](uint16_t type, std::span<const std::byte> payload) {
    CHECK(type == 20);
    CHECK(payload.size() == 4);
    count++;
  });
  CHECK(count == 2);
  for_each_message(datagram.bytes().first(39),
                   [&](uint16_t, std::span<const std::byte>) { count++; });
  CHECK(count == 3);
}

TEST_CASE("/proc/net/unix: states and names", "[proc]") {
  CHECK_FALSE(parse_net_unix("Num       RefCount Protocol Flags    Type St Inode Path"));
  const auto connected =
      parse_net_unix("000000002d0ab789: 00000003 00000000 00000000 0001 03  1210 /run/a b");
  REQUIRE(connected);
  CHECK(connected->inode == 1210);
  CHECK(connected->state == 1);
  CHECK(name_of(*connected) == "/run/a b");
  CHECK(connected->peer_inode == UNKNOWN_U64);
  const auto listener =
      parse_net_unix("000000002d0ab789: 00000002 00000000 00010000 0005 01  11 @x");
  REQUIRE(listener);
  CHECK(listener->state == 10);
  CHECK(listener->type == SOCK_SEQPACKET);
  CHECK(name_of(*listener) == std::string("\0x", 2));
}

TEST_CASE("/proc/net: TCP, UDP over IPv6, netlink, packet", "[proc]") {
  const auto tcp = parse_net_inet(
      "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000002 00:00000000 00000000  1000        0 "
      "6001 1 0000000000000000 100 0 0 10 0",
      AF_INET, IPPROTO_TCP);
  REQUIRE(tcp);
  CHECK(tcp->local_port == 8080);
  CHECK(tcp->local[0] == 127);
  CHECK(tcp->state == 10);
  CHECK(tcp->backlog == 2);
  CHECK(tcp->inode == 6001);
  CHECK(tcp->uid == 1000);
  const auto udp = parse_net_inet(
      " 1234: 00000000000000000000000001000000:0035 00000000000000000000000000000000:0000 07 "
      "00000000:00000340 00:00000000 00000000     0        0 5175272 2 0000000000000000 9",
      AF_INET6, IPPROTO_UDP);
  REQUIRE(udp);
  CHECK(udp->local[15] == 1);
  CHECK(udp->local_port == 53);
  CHECK(udp->rx_memory == 0x340);
  CHECK(udp->rx_bytes == UNKNOWN_U64);
  CHECK(udp->drops == 9);
  const auto netlink = parse_net_netlink(
      "000000006dce5577 15  4242       00000001 12       0        0     2        3        4");
  REQUIRE(netlink);
  CHECK(netlink->protocol == 15);
  CHECK(netlink->drops == 3);
  CHECK(netlink->inode == 4);
  const auto packet =
      parse_net_packet("0000000000000000 3      3    0003   0     1 0      0      5175275");
  REQUIRE(packet);
  CHECK(packet->type == SOCK_RAW);
  CHECK(packet->protocol == 3);
  CHECK(packet->inode == 5175275);
}
