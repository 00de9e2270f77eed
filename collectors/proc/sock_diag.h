// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <functional>
#include <optional>
#include <span>

#include "collectors/base/result.h"
#include "collectors/proc/socket_facts.h"

namespace ipcscope {

/// The payload of one answer of NETLINK_SOCK_DIAG, behind its netlink header; nothing when it is
/// too short. They are told apart by the family that was asked for.
struct UnixAnswer {
  UnixFacts facts;
  std::vector<uint32_t> waiting;  ///< of a listener: inodes of those that it has not accepted
  /// The file that it is bound to, where DiagRequest::files asked for it.
  struct File {
    uint32_t inode = 0;   ///< the low 32 bits of the number
    uint32_t device = 0;  ///< of the superblock, as in records
  };
  std::optional<File> file;
};
std::optional<UnixAnswer> parse_unix_diag(std::span<const std::byte> payload);
/// protocol: the one that was asked for; an answer does not tell.
std::optional<InetFacts> parse_inet_diag(std::span<const std::byte> payload, uint16_t protocol);
std::optional<OtherFacts> parse_netlink_diag(std::span<const std::byte> payload);
std::optional<OtherFacts> parse_packet_diag(std::span<const std::byte> payload);
std::optional<OtherFacts> parse_vsock_diag(std::span<const std::byte> payload);

/// Calls each(type, payload) for every netlink message of a datagram; stops at one that is cut off.
void for_each_message(
    std::span<const std::byte> datagram,
    const std::function<void(uint16_t type, std::span<const std::byte> payload)>& each);

/// What to dump.
struct DiagRequest {
  uint8_t family = 0;
  uint16_t protocol = 0;  ///< of AF_INET and AF_INET6
  bool files = false;     ///< of AF_UNIX: names and the files that they are bound to, no more
};

/// Asks a NETLINK_SOCK_DIAG socket for all sockets of a kind in the network namespace in which it
/// was made. Fails with ENOENT where the kernel has no module for this kind.
Result<void> dump_sockets(int netlink, const DiagRequest& request,
                          const std::function<void(std::span<const std::byte> payload)>& each);

}  // namespace ipcscope
