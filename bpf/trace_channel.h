/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a system call is about, and the records that say what that is. Kernel side only. */
#ifndef IPCSCOPE_TRACE_CHANNEL_H
#define IPCSCOPE_TRACE_CHANNEL_H
#include "trace_ring.h"

#define PIPEFS_MAGIC 0x50495045
#define ANON_INODE_FS_MAGIC 0x09041934
#define PID_FS_MAGIC 0x50494446
#define MQUEUE_MAGIC 0x19800202
#define TMPFS_MAGIC 0x01021994
#define S_IFMT 0170000
#define S_IFSOCK 0140000
#define S_IFREG 0100000
#define S_IFCHR 0020000
#define S_IFIFO 0010000
#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define AF_NETLINK 16
#define AF_PACKET 17
#define AF_VSOCK 40
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define IPPROTO_UDPLITE 136
#define IPPROTO_MPTCP 262
#define TCP_LISTEN 10
#define TTYAUX_MAJOR 5
#define UNIX98_PTY_MASTER_MAJOR 128
#define UNIX98_PTY_SLAVE_MAJOR 136

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, TRACE_SEEN);
  __type(key, u32);
  __type(value, struct trace_seen);
} trace_seen SEC(".maps");

/** What was sent about a channel into the ring of a mechanism. */
static __always_inline struct trace_seen *seen_of(u64 key, u32 word) {
  const u64 mixed = (key + ring_number(word)) * 0x9e3779b97f4a7c15ULL;
  const u32 index = (u32)(mixed >> 40) & (TRACE_SEEN - 1);
  return bpf_map_lookup_elem(&trace_seen, &index);
}

/** True when the record of this channel was sent with this stamp; notes that it is now. */
static __always_inline bool was_seen(u64 key, u64 stamp, u32 word) {
  struct trace_seen *seen = seen_of(key, word);
  if (!seen || (seen->key == key && seen->stamp == stamp)) {
    return seen != NULL;
  }
  seen->key = key;
  seen->stamp = stamp;
  return false;
}

static __always_inline void forget(u64 key, u32 word) {
  struct trace_seen *seen = seen_of(key, word);
  if (seen) {
    seen->key = 0;
  }
}

static __always_inline void clear_channel(struct trace_channel_record *record) {
  __builtin_memset(record, 0, sizeof *record);
  record->kind = TRACE_CHANNEL;
  record->fd = -1;
}

/** The inode number of a socket; 0 when it has no file (any more, or yet). */
static __always_inline u64 socket_inode(u64 sk) {
  const u64 socket = GET_NUMBER(sk, sock, socket);
  if (!socket) {
    return 0;
  }
  const u64 file = GET_NUMBER(socket, socket, file);
  return file ? GET(GET(file, file, inode), inode, ino) : 0;
}

static __always_inline u64 peer_inode(u64 sk) {
  const u64 peer = GET_NUMBER(sk, unix_sock, peer);
  return peer ? socket_inode(peer) : 0;
}

static __always_inline void describe_unix(struct trace_channel_record *record, u64 sk) {
  record->unix_end.peer_inode = peer_inode(sk);
  record->unix_end.type = GET(sk, sock, type);
  const u64 peer = GET_NUMBER(sk, unix_sock, peer);
  record->unix_end.mutual = peer && GET_NUMBER(peer, unix_sock, peer) == sk;
  record->unix_end.net_ns = GET(GET(sk, sock, net), net, inum);
  record->unix_end.peer_pid = own_number(GET_NUMBER(sk, sock, peer_pid));
  const u64 address = GET_NUMBER(sk, unix_sock, addr);
  if (address) {
    const int length = (int)GET(address, unix_address, len) - 2; /* sun_family comes first */
    if (length > 0 && length <= TRACE_NAME_MAX) {
      record->name_length = (u16)length;
      bpf_probe_read_kernel(record->name, TRACE_NAME_MAX,
                            (void *)(address + OFFSET(unix_address, name) + 2));
    }
  }
}

static __always_inline void describe_inet(struct trace_channel_record *record, u64 sk) {
  struct trace_inet *inet = &record->inet;
  inet->family = GET(sk, sock, family);
  inet->state = GET(sk, sock, state);
  inet->net_ns = GET(GET(sk, sock, net), net, inum);
  if (inet->family == AF_INET6) {
    bpf_probe_read_kernel(inet->local, 16, (void *)(sk + OFFSET(sock, v6_rcv_saddr)));
    bpf_probe_read_kernel(inet->remote, 16, (void *)(sk + OFFSET(sock, v6_daddr)));
  } else {
    *(u32 *)inet->local = GET(sk, sock, rcv_saddr);
    *(u32 *)inet->remote = GET(sk, sock, daddr);
  }
  inet->local_port = GET(sk, sock, num);
  inet->remote_port = __builtin_bswap16(GET(sk, sock, dport));
}

#define NAME8(a, b, c, d, e, f, g, h)                                                             \
  ((u64)(a) | (u64)(b) << 8 | (u64)(c) << 16 | (u64)(d) << 24 | (u64)(e) << 32 | (u64)(f) << 40 | \
   (u64)(g) << 48 | (u64)(h) << 56)

/** By the names that /proc/PID/fd shows behind "anon_inode:". */
static __always_inline u32 anonymous_kind(u64 file) {
  const u64 text = read_word(GET_NUMBER(GET_NUMBER(file, file, dentry), dentry, name));
  switch (text) {
    case NAME8('[', 'e', 'v', 'e', 'n', 't', 'f', 'd'):
      return TRACE_EVENTFD;
    case NAME8('[', 'e', 'v', 'e', 'n', 't', 'p', 'o'):
      return TRACE_EPOLL;
    case NAME8('[', 's', 'i', 'g', 'n', 'a', 'l', 'f'):
      return TRACE_SIGNALFD;
    case NAME8('[', 't', 'i', 'm', 'e', 'r', 'f', 'd'):
      return TRACE_TIMERFD;
    case NAME8('[', 'p', 'i', 'd', 'f', 'd', ']', 0):
      return TRACE_PIDFD;
    case NAME8('i', 'n', 'o', 't', 'i', 'f', 'y', 0):
    case NAME8('[', 'i', 'n', 'o', 't', 'i', 'f', 'y'):
      return TRACE_INOTIFY;
    case NAME8('[', 'i', 'o', '_', 'u', 'r', 'i', 'n'):
      return TRACE_IO_URING;
    default:
      return TRACE_NO_KIND;
  }
}

static __always_inline u32 socket_kind(u64 sk) {
  const u32 family = GET(sk, sock, family);
  if (family == AF_UNIX) {
    return TRACE_UNIX;
  }
  if (family == AF_INET || family == AF_INET6) {
    const u32 protocol = GET(sk, sock, protocol);
    return protocol == IPPROTO_TCP || protocol == IPPROTO_MPTCP     ? TRACE_TCP
           : protocol == IPPROTO_UDP || protocol == IPPROTO_UDPLITE ? TRACE_UDP
                                                                    : TRACE_RAW;
  }
  return family == AF_NETLINK  ? TRACE_NETLINK
         : family == AF_PACKET ? TRACE_PACKET
         : family == AF_VSOCK  ? TRACE_VSOCK
                               : TRACE_NO_KIND;
}

/** How a descriptor is looked at: as what it is, or as a file that is locked. */
#define AS_FILE 0xff

/** The only filter that is about a channel. */
static __always_inline bool is_wanted_channel(u32 kind, u64 number) {
  return filter.channel_kind == UNKNOWN_U32 ||
         (filter.channel_kind == kind && (!filter.channel || filter.channel == number));
}

/* What looks for a channel returns 0; NOT_WANTED; or NO_ROOM for the record about it. */
#define NOT_WANTED 1
#define NO_ROOM 2

/** What a descriptor leads to. */
struct subject {
  u64 file;
  u64 inode;
  u64 sk;       /* of a socket */
  u64 number;   /* as its id has it */
  u64 distinct; /* as its key has it */
  u64 key;
  u32 kind; /* TRACE_NO_KIND: nothing that is traced */
};

static __always_inline u64 open_file(u64 task, int fd) {
  const u64 files = GET_NUMBER(task, task_struct, files);
  if (!files || fd < 0) {
    return 0;
  }
  const u64 table = GET_NUMBER(files, files_struct, fdt);
  return (u32)fd < GET(table, fdtable, max_fds)
             ? read_word(GET_NUMBER(table, fdtable, fd) + (u64)(u32)fd * 8)
             : 0;
}

/** A number for an inode of one of several file systems. */
static __always_inline u64 inode_of_device(u64 super, u64 ino) {
  return ino ^ (u64)GET(super, super_block, dev) << 36;
}

static __always_inline void identify_terminal(struct subject *subject) {
  const u32 major = GET(subject->inode, inode, rdev) >> 20;
  if (major < UNIX98_PTY_SLAVE_MAJOR && major != TTYAUX_MAJOR) {
    return;
  }
  const u64 private = GET_NUMBER(subject->file, file, private_data);
  const u64 tty = private ? GET_NUMBER(private, tty_file_private, tty) : 0;
  if (!tty) {
    return;
  }
  const u32 driver = GET(GET(tty, tty_struct, driver), tty_driver, major);
  if (driver == UNIX98_PTY_MASTER_MAJOR || driver == UNIX98_PTY_SLAVE_MAJOR) {
    subject->kind = TRACE_PTY;
    subject->number = subject->distinct = GET(tty, tty_struct, index);
  }
}

/** What has an inode that others have, too, or lies in memory. */
static __always_inline void identify_other(struct subject *subject, u64 super) {
  const u32 magic = (u32)GET(super, super_block, magic);
  if (magic == ANON_INODE_FS_MAGIC || magic == PID_FS_MAGIC) {
    const u64 private = GET_NUMBER(subject->file, file, private_data);
    subject->kind = magic == PID_FS_MAGIC ? TRACE_PIDFD : anonymous_kind(subject->file);
    subject->number = private;
    if (subject->kind == TRACE_EVENTFD) {
      subject->number = GET(private, eventfd_ctx, id);
    } else if (subject->kind == TRACE_PIDFD) {
      subject->number =
          own_number(magic == PID_FS_MAGIC ? GET_NUMBER(subject->inode, inode, private) : private);
    }
    subject->distinct = subject->number;
  } else if (magic == MQUEUE_MAGIC) {
    subject->kind = TRACE_MQ;
    subject->distinct = inode_of_device(super, subject->number);
  } else if (magic == TMPFS_MAGIC) {
    const u64 text = read_word(GET_NUMBER(GET_NUMBER(subject->file, file, dentry), dentry, name));
    if ((text & 0xffffffffffffULL) == NAME8('m', 'e', 'm', 'f', 'd', ':', 0, 0)) {
      subject->kind = TRACE_MEMFD;
    } else if (GET(super, super_block, dev) == filter.shm_device) {
      subject->kind =
          (u32)text == (u32)NAME8('s', 'e', 'm', '.', 0, 0, 0, 0) ? TRACE_POSIXSEM : TRACE_POSIXSHM;
    }
    subject->distinct = inode_of_device(super, subject->number);
  }
}

static __always_inline void identify(struct subject *subject, u32 as) {
  const u32 type = GET(subject->inode, inode, mode) & S_IFMT;
  const u64 super = GET_NUMBER(subject->inode, inode, sb);
  subject->number = subject->distinct = GET(subject->inode, inode, ino);
  if (as != AS_FILE) {
    subject->kind = as;
    subject->distinct = inode_of_device(super, subject->number);
  } else if (type == S_IFIFO) {
    subject->kind = TRACE_PIPE;
    if (GET(super, super_block, magic) != PIPEFS_MAGIC) {
      subject->kind = TRACE_FIFO;
      subject->distinct = inode_of_device(super, subject->number);
    }
  } else if (type == S_IFSOCK) {
    const u64 socket = GET_NUMBER(subject->file, file, private_data);
    subject->sk = socket ? GET_NUMBER(socket, socket, sk) : 0;
    if (subject->sk) {
      subject->kind = socket_kind(subject->sk);
    }
  } else if (type == S_IFCHR) {
    identify_terminal(subject);
  } else {
    identify_other(subject, super);
  }
}

/**
 * What a descriptor of a task is, and whether it is wanted. as: the kind of lock that the call is
 * about, else AS_FILE. word: what the call itself was asked for by, TRACE_NO_KIND: by its channel.
 */
static __always_inline int find_subject(struct subject *subject, u64 task, int fd, u32 as,
                                        u32 word) {
  subject->kind = TRACE_NO_KIND;
  subject->sk = 0;
  subject->file = open_file(task, fd);
  if (!subject->file) {
    return NOT_WANTED;
  }
  subject->inode = GET_NUMBER(subject->file, file, inode);
  identify(subject, as);
  const u32 kind = subject->kind;
  if (kind == TRACE_NO_KIND || (word == TRACE_NO_KIND && !is_wanted_kind(kind))) {
    return NOT_WANTED;
  }
  if (!is_wanted_channel(kind, subject->number) &&
      !(kind == TRACE_UNIX && filter.channel_kind == TRACE_UNIX &&
        peer_inode(subject->sk) == filter.channel)) {
    return NOT_WANTED;
  }
  subject->key = make_key(kind, subject->distinct);
#pragma unroll
  for (u32 i = 0; i < TRACE_IGNORED_MAX; i++) {
    if (i < filter.ignored_count && filter.ignored[i] == subject->key) {
      return NOT_WANTED;
    }
  }
  return 0;
}

/** Changes when the record about it has to be sent again. */
static __always_inline u64 stamp_of(const struct subject *subject) {
  const u64 sk = subject->sk;
  switch (subject->kind) {
    case TRACE_UNIX:
      return GET_NUMBER(sk, unix_sock, peer) + (u64)GET(sk, sock, state);
    case TRACE_TCP:
    case TRACE_UDP: {
      const u64 stamp =
          (u64)GET(sk, sock, daddr) << 32 | (u64)GET(sk, sock, dport) << 16 | GET(sk, sock, num);
      return GET(sk, sock, family) == AF_INET6 ? stamp + read_word(sk + OFFSET(sock, v6_daddr)) +
                                                     read_word(sk + OFFSET(sock, v6_daddr) + 8)
                                               : stamp;
    }
    case TRACE_PIDFD:
      return subject->number + 1;
    default:
      return 1;
  }
}

/*
 * Functions that look for a channel leave it in the slot of the thread, and send the record about
 * it where it is new. They are global, with scalar arguments: the verifier checks each once.
 */

/** What a descriptor of the current process is; as and word as in find_subject(). */
__noinline int find_file(u64 pid_tgid, int fd, u32 as, u32 word) {
  struct trace_slot *slot = slot_of(pid_tgid);
  if (!slot) {
    return NOT_WANTED;
  }
  slot->found_key = 0;
  slot->found_kind = TRACE_NO_KIND;
  struct subject subject;
  if (find_subject(&subject, bpf_get_current_task(), fd, as, word)) {
    return NOT_WANTED;
  }
  const u32 kind = subject.kind;
  const u64 key = subject.key;
  word = word == TRACE_NO_KIND ? kind : word;
  slot->found_kind = kind;
  slot->found_word = word;
  slot->found_key = key;
  if (filter.summary || was_seen(key, stamp_of(&subject), word)) {
    return 0;
  }
  struct trace_channel_record *record = reserve(word, sizeof *record);
  if (!record) {
    forget(key, word);
    return NO_ROOM;
  }
  clear_channel(record);
  record->channel_kind = kind;
  record->fd = fd;
  record->key = key;
  record->number = subject.number;
  record->device = GET(GET_NUMBER(subject.inode, inode, sb), super_block, dev);
  record->tid = (u32)bpf_get_current_pid_tgid();
  if (kind == TRACE_UNIX) {
    describe_unix(record, subject.sk);
  } else if (kind == TRACE_TCP || kind == TRACE_UDP) {
    describe_inet(record, subject.sk);
  } else if (!subject.sk) {
    const u64 dentry = GET_NUMBER(subject.file, file, dentry);
    record->unlinked = GET(subject.inode, inode, nlink) == 0;
    const u32 length = GET(dentry, dentry, name_length);
    record->name_length = (u16)(length < TRACE_NAME_MAX ? length : TRACE_NAME_MAX);
    bpf_probe_read_kernel_str(record->name, TRACE_NAME_MAX,
                              (void *)GET_NUMBER(dentry, dentry, name));
  }
  bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
  return 0;
}

/** A System V object of the current IPC namespace. */
__noinline int find_sysv(u64 pid_tgid, u32 kind, u32 id) {
  struct trace_slot *slot = slot_of(pid_tgid);
  if (!slot || !is_wanted_channel(kind, id)) {
    return NOT_WANTED;
  }
  slot->found_kind = slot->found_word = kind;
  const u64 task = bpf_get_current_task();
  const u64 proxy = GET_NUMBER(task, task_struct, nsproxy);
  const u32 space = proxy ? GET(GET(proxy, nsproxy, ipc_ns), ipc_namespace, inum) : 0;
  const u64 key = make_key(kind, (u64)id | (u64)(space & 0xffffff) << 32);
  slot->found_key = key;
  if (filter.summary || was_seen(key, space, kind)) {
    return 0;
  }
  struct trace_channel_record *record = reserve(kind, sizeof *record);
  if (!record) {
    forget(key, kind);
    return NO_ROOM;
  }
  clear_channel(record);
  record->channel_kind = kind;
  record->key = key;
  record->number = id;
  record->name_space = space;
  record->tid = (u32)bpf_get_current_pid_tgid();
  bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
  return 0;
}

/** What a path names: a queue, or an object in /dev/shm. */
__noinline int find_path(u64 pid_tgid, u32 kind, u64 path) {
  struct trace_slot *slot = slot_of(pid_tgid);
  if (!slot) {
    return NOT_WANTED;
  }
  char name[TRACE_NAME_MAX];
  __builtin_memset(name, 0, sizeof name);
  const long length = bpf_probe_read_user_str(name, sizeof name, (void *)path);
  if (length <= 1) {
    return NOT_WANTED;
  }
  if (kind == TRACE_POSIXSHM) {
    const u64 *text = (const u64 *)name;
    if (text[0] != NAME8('/', 'd', 'e', 'v', '/', 's', 'h', 'm') || name[8] != '/') {
      return NOT_WANTED;
    }
    if (name[9] == 's' && name[10] == 'e' && name[11] == 'm' && name[12] == '.') {
      kind = TRACE_POSIXSEM;
    }
  }
  slot->found_kind = slot->found_word = kind;
  if (!is_wanted_kind(kind)) {
    return NOT_WANTED;
  }
  if (!is_wanted_channel(kind, 0) && filter.channel_kind != TRACE_POSIXSEM) {
    return NOT_WANTED;
  }
  slot->found_key = make_key(kind, 1ULL << 55 | bpf_ktime_get_ns());
  if (filter.summary) {
    return 0;
  }
  struct trace_channel_record *record = reserve(kind, sizeof *record);
  if (!record) {
    return NO_ROOM;
  }
  clear_channel(record);
  record->channel_kind = kind;
  record->key = slot->found_key;
  record->tid = (u32)bpf_get_current_pid_tgid();
  record->name_length = (u16)(length - 1);
  __builtin_memcpy(record->name, name, sizeof name);
  bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
  return 0;
}

#endif
