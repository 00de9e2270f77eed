// SPDX-License-Identifier: GPL-2.0-or-later
#include "walk.h"

#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define AF_NETLINK 16
#define AF_PACKET 17
#define AF_VSOCK 40
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define TCP_LISTEN 10
#define SOCK_STREAM 1

#define BUFFERS_MAX 65536

struct packet_queue queue;

static long add_packet(u32 round, void *context) {
  if (queue.at == queue.head || !queue.at) {
    return 1;
  }
  struct sk_buff *buffer = (struct sk_buff *)queue.at;
  queue.bytes += READ(buffer, len);
  queue.at = next_entry(queue.at);
  if (!queue.park) {
    return 0;
  }
  struct unix_skb_parms *parms =
      (struct unix_skb_parms *)(number_of(buffer) + bpf_core_field_offset(struct sk_buff, cb));
  queue.bytes -= READ(parms, consumed); /* what a stream reader has taken of it already */
  struct scm_fp_list *passed = READ(parms, fp);
  if (!passed) {
    return 0;
  }
  u32 count = (u32)READ(passed, count);
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
  bpf_probe_read_kernel(
      &parked[at], count * sizeof parked[0],
      (void *)(number_of(passed) + bpf_core_field_offset(struct scm_fp_list, fp)));
  parked_count = at + count;
  return 0;
}

/** Bytes in a queue of packets; UNKNOWN_U64 when it is longer than can be walked. */
static u64 queued_bytes(struct sk_buff_head *head, u64 park) {
  queue.head = (u64)head;
  queue.at = next_entry((u64)head);
  queue.bytes = 0;
  queue.park = park;
  repeat(BUFFERS_MAX, add_packet);
  return queue.at == queue.head || !queue.at ? queue.bytes : UNKNOWN_U64;
}

static void unix_name(struct unix_record *record, struct unix_sock *socket) {
  struct unix_address *address = READ(socket, addr);
  record->name_length = 0;
  if (!address) {
    return;
  }
  const int length = READ(address, len) - 2; /* sun_family comes first */
  if (length <= 0 || length > UNIX_NAME_MAX) {
    return;
  }
  record->name_length = (u16)length;
  bpf_probe_read_kernel(
      record->name, UNIX_NAME_MAX,
      (void *)(number_of(address) + bpf_core_field_offset(struct unix_address, name) + 2));
}

/** In one place, so that struct net is looked up once. */
__noinline int net_namespace(u64 sk) {
  return (int)READ((struct sock *)sk, __sk_common.skc_net.net, ns.inum);
}

__noinline int unix_describe(u64 address) {
  struct sock *sk = (struct sock *)address;
  struct unix_sock *socket = (struct unix_sock *)address;
  struct unix_record *record = &out.unix_socket;
  record->file.head.kind = RECORD_UNIX;
  record->type = READ(sk, sk_type);
  record->state = READ(sk, __sk_common.skc_state);
  record->shutdown = 0;
  if (bpf_core_field_exists(sk->sk_shutdown)) {
    record->shutdown = READ(sk, sk_shutdown) & 3;
  }
  record->net_ns = (u32)net_namespace(address);
  record->rx_messages = READ(sk, sk_receive_queue.qlen);
  record->wmem = (u32)READ(sk, sk_wmem_alloc.refs.counter) - 1; /* one is the socket itself */
  record->sndbuf = (u32)READ(sk, sk_sndbuf);
  record->backlog_max = READ(sk, sk_max_ack_backlog);
  record->peer_pid = (u32)pid_number(number_of(READ(sk, sk_peer_pid)));
  record->fds_in_flight = 0;
  record->peer_name = 0;
  record->rx_bytes = 0;
  if (record->state != TCP_LISTEN && record->rx_messages) {
    record->rx_bytes = queued_bytes(&sk->sk_receive_queue, 1);
  }
  struct sock *peer = READ(socket, peer);
  record->peer = (u64)peer;
  record->peer_inode = 0;
  unix_name(record, socket);
  if (peer) {
    struct socket *end = READ(peer, sk_socket);
    if (end) {
      record->peer_inode = READ(end, file, f_inode, i_ino);
    } else if (!record->name_length) {
      unix_name(record, (struct unix_sock *)peer);
      record->peer_name = 1;
    }
  }
  if (!record->name_length) { /* most have none: spare the ring their bytes */
    return sizeof(struct unix_record) - UNIX_NAME_MAX;
  }
  return sizeof(struct unix_record);
}

__noinline int inet_describe(u64 address) {
  struct sock *sk = (struct sock *)address;
  struct inet_record *record = &out.inet;
  record->file.head.kind = RECORD_INET;
  record->family = READ(sk, __sk_common.skc_family);
  record->type = READ(sk, sk_type);
  record->protocol = READ(sk, sk_protocol);
  record->state = READ(sk, __sk_common.skc_state);
  record->net_ns = (u32)net_namespace(address);
  __builtin_memset(record->local, 0, sizeof record->local);
  __builtin_memset(record->remote, 0, sizeof record->remote);
  if (record->family == AF_INET6) {
    bpf_core_read(record->local, 16, &sk->__sk_common.skc_v6_rcv_saddr);
    bpf_core_read(record->remote, 16, &sk->__sk_common.skc_v6_daddr);
  } else {
    bpf_core_read(record->local, 4, &sk->__sk_common.skc_rcv_saddr);
    bpf_core_read(record->remote, 4, &sk->__sk_common.skc_daddr);
  }
  record->local_port = READ(sk, __sk_common.skc_num);
  record->remote_port = __builtin_bswap16(READ(sk, __sk_common.skc_dport));
  record->rx_memory = (u32)READ(sk, sk_backlog.rmem_alloc.counter);
  record->rcvbuf = (u32)READ(sk, sk_rcvbuf);
  record->sndbuf = (u32)READ(sk, sk_sndbuf);
  record->backlog = READ(sk, sk_ack_backlog);
  record->backlog_max = READ(sk, sk_max_ack_backlog);
  record->drops = (u32)READ(sk, sk_drops.counter);
  record->rx_bytes = 0;
  record->tx_bytes = 0;
  if (record->protocol == IPPROTO_TCP) {
    if (record->state != TCP_LISTEN) {
      struct tcp_sock *tcp = (struct tcp_sock *)sk;
      const s32 unread = (s32)(READ(tcp, rcv_nxt) - READ(tcp, copied_seq));
      const s32 unsent = (s32)(READ(tcp, write_seq) - READ(tcp, snd_una));
      record->rx_bytes = unread > 0 ? (u64)unread : 0;
      record->tx_bytes = unsent > 0 ? (u64)unsent : 0;
    }
  } else if (record->protocol == IPPROTO_UDP) {
    struct udp_sock *udp = (struct udp_sock *)sk;
    record->tx_bytes = UNKNOWN_U64;
    record->rx_bytes = record->rx_memory ? queued_bytes(&sk->sk_receive_queue, 0) : 0;
    if (record->rx_memory && bpf_core_field_exists(udp->reader_queue)) {
      const u64 taken = queued_bytes(&udp->reader_queue, 0);
      record->rx_bytes = taken == UNKNOWN_U64 || record->rx_bytes == UNKNOWN_U64
                             ? UNKNOWN_U64
                             : record->rx_bytes + taken;
    }
    if (bpf_core_field_exists(udp->drop_counters)) {
      record->drops += (u32)READ(udp, drop_counters.drops0.counter) +
                       (u32)READ(udp, drop_counters.drops1.counter);
    }
  } else {
    record->rx_bytes = UNKNOWN_U64;
    record->tx_bytes = UNKNOWN_U64;
  }
  return sizeof(struct inet_record);
}

__noinline int other_describe(u64 address) {
  struct sock *sk = (struct sock *)address;
  struct socket_record *record = &out.socket;
  record->file.head.kind = RECORD_SOCKET;
  record->family = READ(sk, __sk_common.skc_family);
  record->type = READ(sk, sk_type);
  record->protocol = READ(sk, sk_protocol);
  record->state = READ(sk, __sk_common.skc_state);
  record->net_ns = (u32)net_namespace(address);
  record->rx_memory = (u32)READ(sk, sk_backlog.rmem_alloc.counter);
  record->rcvbuf = (u32)READ(sk, sk_rcvbuf);
  record->drops = (u32)READ(sk, sk_drops.counter);
  record->port = UNKNOWN_U32;
  record->peer_port = UNKNOWN_U32;
  record->cid = UNKNOWN_U32;
  record->peer_cid = UNKNOWN_U32;
  if (record->family == AF_PACKET && bpf_core_type_exists(struct packet_sock)) {
    record->protocol = __builtin_bswap16(READ((struct packet_sock *)sk, num));
  }
  if (record->family == AF_NETLINK && bpf_core_type_exists(struct netlink_sock)) {
    record->port = READ((struct netlink_sock *)sk, portid);
  }
  if (record->family == AF_VSOCK && bpf_core_type_exists(struct vsock_sock)) {
    struct vsock_sock *vsock = (struct vsock_sock *)sk;
    record->port = READ(vsock, local_addr.svm_port);
    record->cid = READ(vsock, local_addr.svm_cid);
    record->peer_port = READ(vsock, remote_addr.svm_port);
    record->peer_cid = READ(vsock, remote_addr.svm_cid);
  }
  return sizeof(struct socket_record);
}

__noinline int socket_describe(u64 file) {
  struct socket *socket = (struct socket *)READ((struct file *)file, private_data);
  struct sock *sk = READ(socket, sk);
  if (!sk) {
    return 0;
  }
  out.file.object = (u64)sk;
  const u16 family = READ(sk, __sk_common.skc_family);
  if (family == AF_UNIX) {
    return unix_describe(number_of(sk));
  }
  if (family == AF_INET || family == AF_INET6) {
    return inet_describe(number_of(sk));
  }
  return other_describe(number_of(sk));
}
