// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "bpf/socket.h"

namespace ipcscope {

/// One AF_UNIX socket, from sock_diag(7) or /proc/net/unix.
struct UnixFacts {
  uint64_t inode = 0;
  uint64_t peer_inode = 0;  ///< 0: none, or not accepted yet; UNKNOWN_U64
  bool has_peer = false;    ///< with peer_inode 0: it was not accepted yet
  uint16_t type = 0;
  uint16_t state = 0;
  uint16_t shutdown = 0;
  uint32_t rx_queue = UNKNOWN_U32;  ///< bytes, of a datagram socket those of its first message;
                                    ///< of a listener: connections to accept
  uint32_t wmem = UNKNOWN_U32;
  uint32_t sndbuf = UNKNOWN_U32;
  uint32_t backlog_max = UNKNOWN_U32;
  uint32_t uid = UNKNOWN_U32;
  uint32_t net_ns = UNKNOWN_U32;
  uint16_t name_length = 0;
  char name[UNIX_NAME_MAX] = {};
};

/// One AF_INET or AF_INET6 socket. The members mean what they mean in inet_record.
struct InetFacts {
  uint64_t inode = 0;
  uint8_t local[16] = {};
  uint8_t remote[16] = {};
  uint16_t family = 0, protocol = 0, local_port = 0, remote_port = 0, state = 0, type = 0;
  uint32_t net_ns = UNKNOWN_U32;
  uint32_t uid = UNKNOWN_U32;
  uint64_t rx_bytes = UNKNOWN_U64, tx_bytes = UNKNOWN_U64;
  uint32_t rx_memory = UNKNOWN_U32, rcvbuf = UNKNOWN_U32, sndbuf = UNKNOWN_U32;
  uint32_t backlog = UNKNOWN_U32, backlog_max = UNKNOWN_U32, drops = UNKNOWN_U32;
};

/// One socket of another family. The members mean what they mean in socket_record.
struct OtherFacts {
  uint64_t inode = 0;
  uint16_t family = 0, type = 0, protocol = 0, state = 0;
  uint32_t port = UNKNOWN_U32, peer_port = UNKNOWN_U32, cid = UNKNOWN_U32, peer_cid = UNKNOWN_U32;
  uint32_t rx_memory = UNKNOWN_U32, rcvbuf = UNKNOWN_U32, drops = UNKNOWN_U32;
  uint32_t uid = UNKNOWN_U32;
  uint32_t net_ns = UNKNOWN_U32;
};

}  // namespace ipcscope
