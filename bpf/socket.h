/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sockets of every family. object is the struct sock. */
#ifndef IPCSCOPE_SOCKET_H
#define IPCSCOPE_SOCKET_H
#include "record.h"

#define UNIX_NAME_MAX 108

/** AF_UNIX. 32-bit counts that are not known are UNKNOWN_U32. */
struct unix_record {
  struct file_record file;
  u64 peer;          /* identity of the peer's struct sock, 0 when none */
  u64 peer_inode;    /* 0 when the peer was not accepted yet; UNKNOWN_U64 */
  u64 rx_bytes;      /* queued for this socket to read; UNKNOWN_U64 */
  u32 rx_messages;   /* buffers in the receive queue; of a listener: connections to accept */
  u32 wmem;          /* memory of what this socket sent and nobody read yet */
  u32 sndbuf;        /* limit of wmem */
  u32 backlog_max;   /* of a listener: sk_max_ack_backlog; of a datagram socket: max_dgram_qlen */
  u32 fds_in_flight; /* descriptors inside its receive queue */
  u32 peer_pid;      /* who connected or listened, as SO_PEERCRED; 0 when none */
  u32 net_ns;
  u16 type;        /* SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET */
  u16 state;       /* TCP_ESTABLISHED 1, TCP_CLOSE 7, TCP_LISTEN 10 */
  u16 shutdown;    /* RCV_SHUTDOWN 1, SEND_SHUTDOWN 2 */
  u16 name_length; /* bytes of name in use; an abstract one begins with NUL */
  u8 peer_name;    /* 1: name is that of the peer, which has no inode (in a backlog) */
  u8 reserved[3];
  char name[UNIX_NAME_MAX];
};
RECORD_ASSERT(sizeof(struct unix_record) == 232, "unix_record");

/** AF_INET and AF_INET6, TCP and UDP. */
struct inet_record {
  struct file_record file;
  u8 local[16];   /* IPv4 in the first 4 bytes */
  u8 remote[16];  /* all zero when not connected */
  u16 family;     /* AF_INET, AF_INET6 */
  u16 protocol;   /* IPPROTO_TCP, IPPROTO_UDP, IPPROTO_MPTCP, ... */
  u16 local_port; /* host byte order */
  u16 remote_port;
  u16 state; /* TCP_* */
  u16 type;
  u32 net_ns;
  u64 rx_bytes;  /* to be read by the process; UNKNOWN_U64 */
  u64 tx_bytes;  /* sent by the process and not acknowledged; UNKNOWN_U64 */
  u32 rx_memory; /* sk_rmem_alloc; UNKNOWN_U32 */
  u32 rcvbuf;
  u32 sndbuf;
  u32 backlog;
  u32 backlog_max;
  u32 drops;
};
RECORD_ASSERT(sizeof(struct inet_record) == 144, "inet_record");

/** Any other family: netlink, packet, vsock, raw ... */
struct socket_record {
  struct file_record file;
  u16 family;
  u16 type;
  u16 protocol;
  u16 state;
  u32 port;      /* netlink: port id; vsock: local port; UNKNOWN_U32 */
  u32 peer_port; /* vsock */
  u32 cid;       /* vsock: local context id */
  u32 peer_cid;
  u32 rx_memory;
  u32 rcvbuf;
  u32 drops;
  u32 net_ns;
};
RECORD_ASSERT(sizeof(struct socket_record) == 96, "socket_record");

#endif
