// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `ls -p PID` on a large host: the descriptors of the process are described first, with how often
 * the kernel says that what they refer to is held. When all of that was seen, at it or at a few
 * processes that it probably has to do with, nobody else can have another end. Else what to look
 * for is noted here; then the other processes are only looked through, and those that may have
 * another end of anything are described in full. What is related without reason costs time, what is
 * missed would be wrong: when in doubt, a process is related.
 *
 * Only with direct reads; the walk through helpers covers all processes.
 */
#include "walk.h"

struct relations relations;

/* Constant for the verifier, which then spares a walk over all processes what only serves others.
 */
u32 is_confined SEC(".rodata");

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

__noinline int note(u64 identity) {
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

/** Notes the identity of an inode, a struct sock, or what a file's private_data points to. */
static __always_inline void want(u64 identity) {
  if (is_confined) {
    note(identity);
  }
}

static __always_inline bool is_wanted(u64 identity) {
  const u32 bit = WANTED_BIT(identity);
  return relations.wanted[bit / 64 & 1023] >> bit % 64 & 1 &&
         bpf_map_lookup_elem(&wanted_identities, &identity);
}

/** Files of anonymous inodes share the inode, all others do not share what is behind them. */
static __always_inline void want_file(u64 address) {
  if (!is_confined) {
    return;
  }
  const u64 file = VIEW(address, file);
  const u64 inode = READ(file, file, inode);
  if (READ(READ(inode, inode, sb), super_block, magic) == ANON_INODE_FS_MAGIC) {
    want(number_of(READ(file, file, private_data)));
  } else {
    want(number_of(inode));
  }
}

/** All files of masters have the same operations, all of slaves others, and no other file has. */
static __always_inline void want_terminal(u64 tty) {
  if (!is_confined) {
    return;
  }
  const u64 first = tty ? next_entry(ADDRESS(tty, tty_struct, files)) : 0;
  if (first && first != ADDRESS(tty, tty_struct, files)) {
    const u64 file = GET(CONTAINER(first, tty_file_private, list), tty_file_private, file);
    want(number_of(READ(file, file, op)));
  }
}

int send_references(u64 file, int fd, u64 object, u32 openings);

/** Whether it matters who else has the files that the walk comes to. */
static __always_inline bool is_counting(void) {
  return is_confined && (relations.part == WALK_CHOSEN || relations.part == WALK_LIKELY);
}

/** fd < 0: of a file that somebody holds. */
static __always_inline void tell_references(u64 file, int fd) {
  if (is_counting() && file) {
    send_references(file, fd, 0, 0);
  }
}

/** Descriptors in the queues of UNIX sockets are counted for the user who sent them. */
static __always_inline void look_for_messages(u64 credentials) {
  if (!is_confined) {
    return;
  }
  if (HAS(cred, user) && HAS(user_struct, in_flight)) {
    relations.in_flight |= READ(GET(credentials, cred, user), user_struct, in_flight);
  } else {
    relations.in_flight = 1;
  }
}

/** What a chosen process has cannot be proved to be without another end. */
static __always_inline void give_up_proof(void) {
  if (is_confined && relations.part == WALK_CHOSEN) {
    relations.unprovable = 1;
  }
}

/** Of the last four bytes of its address: IPv4 addresses in IPv6 end with those. */
static __always_inline u32 end_of_address(u64 place) { return (u32)(read_word(place + 8) >> 32); }

/** A number for a connection as one end sees it, or as the other end does. */
static __always_inline u64 connection_of(u64 address, bool other_end) {
  const u64 sk = VIEW(address, sock);
  u32 local = 0;
  u32 remote = 0;
  if (READ(sk, sock, family) == AF_INET) {
    local = READ(sk, sock, rcv_saddr);
    remote = READ(sk, sock, daddr);
  } else {
    local = end_of_address(ADDRESS(address, sock, v6_rcv_saddr));
    remote = end_of_address(ADDRESS(address, sock, v6_daddr));
  }
  const u32 local_port = READ(sk, sock, num);
  const u32 remote_port = __builtin_bswap16(READ(sk, sock, dport));
  const u64 addresses = other_end ? (u64)remote << 32 | local : (u64)local << 32 | remote;
  const u32 ports = other_end ? remote_port << 16 | local_port : local_port << 16 | remote_port;
  return (addresses * 0x9e3779b97f4a7c15ULL ^ ports) | 1; /* no kernel object is there */
}

static __always_inline void want_connection(u64 sk, u32 listens_to) {
  if (!is_confined) {
    return;
  }
  const u16 remote_port = __builtin_bswap16(GET(sk, sock, dport));
  if (remote_port) {
    want(connection_of(sk, true));
    add_port(&relations.remote, remote_port);
  }
  if (listens_to) { /* whoever connects and was not accepted yet */
    add_port(&relations.local, GET(sk, sock, num));
  }
}

static __always_inline bool is_related_socket(u64 address) {
  if (is_wanted(address)) {
    return true;
  }
  const u64 sk = VIEW(address, sock);
  const u16 family = READ(sk, sock, family);
  const u8 state = READ(sk, sock, state);
  if (family == AF_UNIX) {
    if (state == TCP_LISTEN) {
      return relations.listeners;
    }
    /* Descriptors may be in its queue. */
    if (READ(sk, sock, receive_queue_length)) {
      return true;
    }
    const u64 peer = GET(address, unix_sock, peer);
    return peer && (is_wanted(number_of(peer)) || (relations.clients && !READ(peer, sock, socket)));
  }
  if (family == AF_INET || family == AF_INET6) {
    const u16 local = READ(sk, sock, num);
    const u16 remote = __builtin_bswap16(READ(sk, sock, dport));
    return (remote &&
            (has_port(&relations.local, remote) || is_wanted(connection_of(address, false)))) ||
           ((!remote || state == TCP_LISTEN) && has_port(&relations.remote, local));
  }
  return family == AF_VSOCK && relations.vsock;
}

static __always_inline bool is_related_file(u64 address) {
  const u64 file = VIEW(address, file);
  if (relations.depth != LOOK_INSIDE) {
    return is_wanted(address) ||
           (relations.depth == LOOK_DENTRIES && is_wanted(number_of(READ(file, file, dentry))));
  }
  const u64 inode = READ(file, file, inode);
  const u64 operations = number_of(READ(file, file, op));
  if (!socket_operations && READ(READ(inode, inode, sb), super_block, magic) == SOCKFS_MAGIC) {
    socket_operations = operations;
  }
  const u64 data = number_of(READ(file, file, private_data));
  if (operations == socket_operations) {
    const u64 sk = data ? GET(data, socket, sk) : 0;
    return sk && is_related_socket(number_of(sk));
  }
  return is_wanted(number_of(inode)) || is_wanted(data) || is_wanted(operations);
}

static long look_at_next_file(u32 round, void *context) {
  const u32 fd = paused_fd;
  if (fd >= table.max) {
    return 1;
  }
  const u32 place = fd % DESCRIPTOR_BATCH;
  if (!place && is_batch_empty(fd)) {
    paused_fd = fd + DESCRIPTOR_BATCH;
    return 0;
  }
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

/** What this walk does with the process in table, which it comes to for the first time. */
static __always_inline u32 treatment_of(u32 tgid) {
  if (!is_confined || relations.part == WALK_ALL) {
    return DESCRIBE;
  }
  if (relations.part == WALK_LIKELY) {
    return DESCRIBE; /* the iterator is confined to it */
  }
  if (is_wanted(tgid) != (relations.part == WALK_CHOSEN)) {
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
#define want_terminal(tty)
#define want_connection(sk, listens_to)
#define treatment_of(tgid) DESCRIBE
#define is_counting() false
#define tell_references(file, fd)
#define look_for_messages(credentials)
#define give_up_proof()
#define send_references(file, fd, object, openings)
#endif
