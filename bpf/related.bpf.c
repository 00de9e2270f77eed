// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `ls -p PID` on a large host: the descriptors of the process are described first and what they
 * refer to is noted here; then the other processes are only looked through, and those that may have
 * another end of anything of it are described in full. What is related without reason costs time,
 * what is missed would be wrong: when in doubt, a process is related.
 *
 * Only with direct reads; the walk through helpers covers all processes.
 */
#include "walk.h"

struct relations relations;

#ifdef DIRECT_READS

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, WANTED_MAX);
  __type(key, u64);
  __type(value, u8);
} wanted_identities SEC(".maps");

u64 socket_operations; /* file_operations of every socket, once one was seen */
u32 is_related;        /* not static: the compiler would shrink it to a byte, against its BTF */

static __always_inline bool has_port(const struct port_set *set, u16 port) {
  return set->bits[port / 64 & 1023] >> port % 64 & 1;
}

static __always_inline void add_port(struct port_set *set, u16 port) {
  set->bits[port / 64 & 1023] |= 1ULL << port % 64;
}

/** Notes the identity of an inode, a struct sock, or what a file's private_data points to. */
__noinline int want(u64 identity) {
  if (relations.part != WALK_CHOSEN || !identity) {
    return 0;
  }
  const u32 bit = WANTED_BIT(identity);
  const u8 present = 1;
  relations.wanted[bit / 64 & 1023] |= 1ULL << bit % 64;
  if (bpf_map_update_elem(&wanted_identities, &identity, &present, BPF_ANY)) {
    relations.too_many = 1;
  }
  return 0;
}

static __always_inline bool is_wanted(u64 identity) {
  const u32 bit = WANTED_BIT(identity);
  return relations.wanted[bit / 64 & 1023] >> bit % 64 & 1 &&
         bpf_map_lookup_elem(&wanted_identities, &identity);
}

/** Files of anonymous inodes share the inode, all others do not share what is behind them. */
static __always_inline void want_file(u64 file) {
  const u64 inode = GET(file, file, inode);
  if (GET(GET(inode, inode, sb), super_block, magic) == ANON_INODE_FS_MAGIC) {
    want(number_of(GET(file, file, private_data)));
  } else {
    want(number_of(inode));
  }
}

/** Both ends of a terminal have these, and no other file does. */
static __always_inline void want_operations(u64 file) { want(number_of(GET(file, file, op))); }

static __always_inline void want_ports(u16 local, u16 remote) {
  add_port(&relations.local, local);
  add_port(&relations.remote, remote);
}

static __always_inline bool is_related_socket(u64 sk) {
  if (is_wanted(number_of(sk))) {
    return true;
  }
  const u16 family = GET(sk, sock, family);
  const u8 state = GET(sk, sock, state);
  if (family == AF_UNIX) {
    if (state == TCP_LISTEN) {
      return relations.listeners;
    }
    /* Descriptors may be in its queue. */
    if (GET(sk, sock, receive_queue_length)) {
      return true;
    }
    const u64 peer = GET(sk, unix_sock, peer);
    return peer && (is_wanted(number_of(peer)) || (relations.clients && !GET(peer, sock, socket)));
  }
  if (family == AF_INET || family == AF_INET6) {
    const u16 local = GET(sk, sock, num);
    const u16 remote = __builtin_bswap16(GET(sk, sock, dport));
    return (remote && has_port(&relations.local, remote)) ||
           ((!remote || state == TCP_LISTEN) && has_port(&relations.remote, local));
  }
  return family == AF_VSOCK && relations.vsock;
}

static __always_inline bool is_related_file(u64 file) {
  const u64 inode = number_of(GET(file, file, inode));
  const u64 operations = number_of(GET(file, file, op));
  if (!socket_operations && GET(GET(inode, inode, sb), super_block, magic) == SOCKFS_MAGIC) {
    socket_operations = operations;
  }
  const u64 data = number_of(GET(file, file, private_data));
  if (operations == socket_operations) {
    const u64 sk = data ? GET(data, socket, sk) : 0;
    return sk && is_related_socket(sk);
  }
  return is_wanted(inode) || is_wanted(data) || is_wanted(operations);
}

static long look_at_next_file(u32 round, void *context) {
  const u32 fd = paused_fd;
  if (fd >= table.max) {
    return 1;
  }
  const u32 place = fd % DESCRIPTOR_BATCH;
  if (!place) {
    bpf_probe_read_kernel(table.files, sizeof table.files, (void *)(table.fds + 8 * (u64)fd));
  }
  const u64 file = table.files[place];
  if (file) {
    file_count++;
    if (is_related_file(file)) {
      is_related = 1;
      return 1;
    }
  }
  paused_fd = fd + 1;
  return 0;
}

static __always_inline bool is_chosen(u32 tgid) {
  for (u32 i = 0; i < CHOSEN_MAX; i++) {
    if (i < relations.chosen_count && relations.chosen[i] == tgid) {
      return true;
    }
  }
  return false;
}

/** What this walk does with the process in table, which it comes to for the first time. */
static __always_inline u32 treatment_of(u32 tgid) {
  if (relations.part == WALK_ALL) {
    return DESCRIBE;
  }
  if (is_chosen(tgid) != (relations.part == WALK_CHOSEN)) {
    return SKIP;
  }
  if (relations.part == WALK_CHOSEN || relations.too_many) {
    return DESCRIBE;
  }
  is_related = 0;
  bpf_loop(DESCRIPTORS_PER_CALL, look_at_next_file, NULL, 0);
  if (!is_related) {
    return COUNT;
  }
  paused_fd = 0;
  file_count = 0;
  return DESCRIBE;
}

#else
#define want(identity)
#define want_file(file)
#define want_operations(file)
#define want_ports(local, remote)
#define treatment_of(tgid) DESCRIBE
#endif
