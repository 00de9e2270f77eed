// SPDX-License-Identifier: GPL-2.0-or-later
#include "walk.h"

#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define SOCK_STREAM 1
#define SOCK_DGRAM 2

#define BUFFERS_MAX 65536

struct packet_queue queue;

static long add_packet(u32 round, void *context) {
  if (queue.at == queue.head || !queue.at) {
    return 1;
  }
  const u64 buffer = queue.at;
  queue.bytes += GET(buffer, sk_buff, len);
  queue.at = next_entry(queue.at);
  if (!queue.park) {
    return 0;
  }
  const u64 parms = VIEW(ADDRESS(buffer, sk_buff, cb), unix_skb_parms);
  /* What a stream reader has taken of it already. */
  queue.bytes -= READ(parms, unix_skb_parms, consumed);
  const u64 passed = READ(parms, unix_skb_parms, fp);
  if (!passed) {
    return 0;
  }
  u32 count = (u32)READ(passed, scm_fp_list, count);
  u32 at = parked_count;
  barrier_var(count);
  barrier_var(at);
  if (!count || count > SCM_MAX_FD) {
    return 0;
  }
  out.unix_socket.fds_in_flight += count;
  if (at > PARKED_MAX - SCM_MAX_FD) {
    items_lost += count;
    return 0;
  }
  bpf_probe_read_kernel(&parked[at], count * sizeof parked[0],
                        (void *)ADDRESS(passed, scm_fp_list, fp));
  parked_count = at + count;
  return 0;
}

/** Bytes in a queue of packets; UNKNOWN_U64 when it is longer than can be walked. */
static u64 queued_bytes(u64 head, u64 park) {
  queue.head = head;
  queue.at = next_entry(head);
  queue.bytes = 0;
  queue.park = park;
  repeat(BUFFERS_MAX, add_packet);
  return queue.at == queue.head || !queue.at ? queue.bytes : UNKNOWN_U64;
}

static void unix_name(struct unix_record *record, u64 socket) {
  const u64 address = GET(socket, unix_sock, addr);
  record->name_length = 0;
  if (!address) {
    return;
  }
  const int length = READ(address, unix_address, len) - 2; /* sun_family comes first */
  if (length <= 0 || length > UNIX_NAME_MAX) {
    return;
  }
  record->name_length = (u16)length;
  bpf_probe_read_kernel(record->name, UNIX_NAME_MAX,
                        (void *)(ADDRESS(address, unix_address, name) + 2));
}

/** sk: a view. */
static __always_inline u32 net_namespace(u64 sk) { return READ(READ(sk, sock, net), net, inum); }

#define REFERENCES_AT_REST 2 /* of the socket's file and of the table of sockets */

/**
 * Datagram sockets that are connected to a socket hold a reference on it (unix_dgram_connect,
 * net/unix/af_unix.c). Only one with a name can have others than its peer.
 */
static __always_inline void count_senders(u64 sk, u64 peer) {
  if (!is_counting()) {
    return;
  }
  const u64 back = peer ? number_of(GET(peer, unix_sock, peer)) : 0;
  const u32 senders = back == sk;
  if (GET(sk, unix_sock, addr) &&
      (!HAS(sock, refcnt) || GET(sk, sock, refcnt) != REFERENCES_AT_REST + senders)) {
    give_up_proof();
  }
  if (peer && ((back && !senders) || !HAS(sock, refcnt) ||
               GET(peer, sock, refcnt) != REFERENCES_AT_REST + 1)) {
    give_up_proof();
  }
}

__noinline int unix_describe(u64 address) {
  const u64 sk = VIEW(address, sock);
  struct unix_record *record = &out.unix_socket;
  record->file.head.kind = RECORD_UNIX;
  record->type = READ(sk, sock, type);
  record->state = READ(sk, sock, state);
  record->shutdown = 0;
  if (HAS(sock, shutdown)) {
    record->shutdown = READ(sk, sock, shutdown) & 3;
  }
  record->net_ns = net_namespace(sk);
  record->rx_messages = READ(sk, sock, receive_queue_length);
  record->wmem = (u32)READ(sk, sock, wmem_alloc) - 1; /* one is the socket itself */
  record->sndbuf = (u32)READ(sk, sock, sndbuf);
  record->backlog_max = READ(sk, sock, max_ack_backlog);
  record->peer_pid = (u32)pid_number(number_of(READ(sk, sock, peer_pid)));
  record->fds_in_flight = 0;
  record->peer_name = 0;
  record->rx_bytes = 0;
  if (record->state != TCP_LISTEN && record->rx_messages) {
    record->rx_bytes = queued_bytes(ADDRESS(address, sock, receive_queue), 1);
  }
  const u64 peer = GET(address, unix_sock, peer);
  record->peer = (u64)peer;
  record->peer_inode = 0;
  want(address);
  want(number_of(peer));
  if (record->state == TCP_LISTEN) {
    relations.clients = 1;
    if (record->rx_messages) {
      give_up_proof(); /* who connects is not known here */
    }
  }
  unix_name(record, address);
  if (peer) {
    const u64 end = READ(peer, sock, socket);
    want(number_of(GET(peer, unix_sock, peer))); /* of a datagram receiver: it may be another */
    if (!end) {
      relations.listeners = 1;
    }
    if (end) {
      tell_references(number_of(READ(end, socket, file)), -1);
      record->peer_inode = READ(READ(READ(end, socket, file), file, inode), inode, ino);
    } else if (!record->name_length) {
      unix_name(record, peer);
      record->peer_name = 1;
    }
    if (!end && record->name_length) {
      give_up_proof(); /* whoever listens under that name counts as the other end */
    }
  }
  if (record->type == SOCK_DGRAM) {
    count_senders(address, number_of(peer));
  }
  if (!record->name_length) { /* most have none: spare the ring their bytes */
    return sizeof(struct unix_record) - UNIX_NAME_MAX;
  }
  return sizeof(struct unix_record);
}

__noinline int inet_describe(u64 address) {
  const u64 sk = VIEW(address, sock);
  struct inet_record *record = &out.inet;
  record->file.head.kind = RECORD_INET;
  record->family = READ(sk, sock, family);
  record->type = READ(sk, sock, type);
  record->protocol = READ(sk, sock, protocol);
  record->state = READ(sk, sock, state);
  record->net_ns = net_namespace(sk);
  __builtin_memset(record->local, 0, sizeof record->local);
  __builtin_memset(record->remote, 0, sizeof record->remote);
  if (record->family == AF_INET6) {
    bpf_probe_read_kernel(record->local, 16, (void *)ADDRESS(address, sock, v6_rcv_saddr));
    bpf_probe_read_kernel(record->remote, 16, (void *)ADDRESS(address, sock, v6_daddr));
  } else {
    *(u32 *)record->local = READ(sk, sock, rcv_saddr);
    *(u32 *)record->remote = READ(sk, sock, daddr);
  }
  record->local_port = READ(sk, sock, num);
  record->remote_port = __builtin_bswap16(READ(sk, sock, dport));
  record->rx_memory = (u32)READ(sk, sock, rmem_alloc);
  record->rcvbuf = (u32)READ(sk, sock, rcvbuf);
  record->sndbuf = (u32)READ(sk, sock, sndbuf);
  record->backlog = READ(sk, sock, ack_backlog);
  record->backlog_max = READ(sk, sock, max_ack_backlog);
  record->drops = (u32)READ(sk, sock, drops);
  record->rx_bytes = 0;
  record->tx_bytes = 0;
  want_connection(address, record->state == TCP_LISTEN ? record->backlog : 0);
  if (record->state == TCP_LISTEN && record->backlog) {
    give_up_proof(); /* who connects is not known here */
  }
  if (record->protocol == IPPROTO_TCP) {
    if (record->state != TCP_LISTEN) {
      const u64 tcp = VIEW(address, tcp_sock);
      const s32 unread = (s32)(READ(tcp, tcp_sock, rcv_nxt) - READ(tcp, tcp_sock, copied_seq));
      const s32 unsent = (s32)(READ(tcp, tcp_sock, write_seq) - READ(tcp, tcp_sock, snd_una));
      record->rx_bytes = unread > 0 ? (u64)unread : 0;
      record->tx_bytes = unsent > 0 ? (u64)unsent : 0;
    }
  } else if (record->protocol == IPPROTO_UDP) {
    record->tx_bytes = UNKNOWN_U64;
    record->rx_bytes =
        record->rx_memory ? queued_bytes(ADDRESS(address, sock, receive_queue), 0) : 0;
    if (record->rx_memory && HAS(udp_sock, reader_queue)) {
      const u64 taken = queued_bytes(ADDRESS(address, udp_sock, reader_queue), 0);
      record->rx_bytes = taken == UNKNOWN_U64 || record->rx_bytes == UNKNOWN_U64
                             ? UNKNOWN_U64
                             : record->rx_bytes + taken;
    }
    if (HAS(udp_sock, drops0) && HAS(udp_sock, drops1)) {
      record->drops += (u32)GET(address, udp_sock, drops0) + (u32)GET(address, udp_sock, drops1);
    }
  } else {
    record->rx_bytes = UNKNOWN_U64;
    record->tx_bytes = UNKNOWN_U64;
  }
  return sizeof(struct inet_record);
}

__noinline int other_describe(u64 address) {
  const u64 sk = VIEW(address, sock);
  struct socket_record *record = &out.socket;
  record->file.head.kind = RECORD_SOCKET;
  record->family = READ(sk, sock, family);
  record->type = READ(sk, sock, type);
  record->protocol = READ(sk, sock, protocol);
  record->state = READ(sk, sock, state);
  record->net_ns = net_namespace(sk);
  record->rx_memory = (u32)READ(sk, sock, rmem_alloc);
  record->rcvbuf = (u32)READ(sk, sock, rcvbuf);
  record->drops = (u32)READ(sk, sock, drops);
  record->port = UNKNOWN_U32;
  record->peer_port = UNKNOWN_U32;
  record->cid = UNKNOWN_U32;
  record->peer_cid = UNKNOWN_U32;
  if (record->family == AF_PACKET && HAS(packet_sock, num)) {
    record->protocol = __builtin_bswap16(GET_FAR(address, packet_sock, num));
  }
  if (record->family == AF_NETLINK && HAS(netlink_sock, portid)) {
    record->port = GET(address, netlink_sock, portid);
  }
  if (record->family == AF_VSOCK && HAS(vsock_sock, local_port)) {
    relations.vsock = 1;
    give_up_proof();
    record->port = GET_FAR(address, vsock_sock, local_port);
    record->cid = GET_FAR(address, vsock_sock, local_cid);
    record->peer_port = GET_FAR(address, vsock_sock, remote_port);
    record->peer_cid = GET_FAR(address, vsock_sock, remote_cid);
  }
  return sizeof(struct socket_record);
}

__noinline int socket_describe(u64 file) {
  const u64 socket = GET(file, file, private_data);
  const u64 sk = GET(socket, socket, sk);
  if (!sk) {
    return 0;
  }
  out.file.object = (u64)sk;
  const u16 family = READ(sk, sock, family);
  if (family == AF_UNIX) {
    return unix_describe(number_of(sk));
  }
  if (family == AF_INET || family == AF_INET6) {
    return inet_describe(number_of(sk));
  }
  return other_describe(number_of(sk));
}
