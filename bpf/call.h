/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The system call that the current task is in or has just done, and what its descriptors lead to.
 *
 * Its users run on all CPUs at once, so nothing here is kept in global variables (and number_of()
 * of kernel.h, which does, is not used).
 */
#ifndef IPCSCOPE_CALL_H
#define IPCSCOPE_CALL_H

#include "trace.h"

#include "kernel.h"

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
#define UPID_SIZE 16

/* A member that is a pointer, as a number: what it points to is read through GET() again. */
#define GET_NUMBER(address, structure, member) number_at((u64)(address) + OFFSET(structure, member))

/** The number of a struct pid in a PID namespace of this level, 0 when it has none there. */
static __always_inline u32 pid_at(u64 pid, u32 level) {
  if (!pid || GET(pid, pid, level) < level) {
    return 0;
  }
  return (u32)number_at(pid + OFFSET(pid, numbers) + (u64)level * UPID_SIZE);
}

static __always_inline u64 make_key(u64 kind, u64 number) {
  return (kind + 1) << 56 | (number & 0xffffffffffffffULL);
}

#if defined(__TARGET_ARCH_arm64)
static __always_inline u64 argument_of(u64 regs, u32 index) {
  return index ? number_at(regs + OFFSET(pt_regs, regs) + (u64)index * 8)
               : GET(regs, pt_regs, orig_x0);
}
static __always_inline s64 number_of_call(u64 regs) {
  return (s64)(s32)GET(regs, pt_regs, syscallno);
}
#define PSR_MODE32_BIT 0x10 /* a 32-bit program has other numbers (asm/ptrace.h) */
static __always_inline bool is_native(u64 regs) {
  return !(GET(regs, pt_regs, pstate) & PSR_MODE32_BIT);
}
#else
static __always_inline u64 argument_of(u64 regs, u32 index) {
  switch (index) {
    case 0:
      return GET(regs, pt_regs, di);
    case 1:
      return GET(regs, pt_regs, si);
    case 2:
      return GET(regs, pt_regs, dx);
    case 3:
      return GET(regs, pt_regs, r10);
    case 4:
      return GET(regs, pt_regs, r8);
    default:
      return GET(regs, pt_regs, r9);
  }
}
static __always_inline s64 number_of_call(u64 regs) {
  return (s64)(s32)GET(regs, pt_regs, orig_ax);
}
#define TS_COMPAT 2 /* asm/thread_info.h: it came as a 32-bit program's, with other numbers */
static __always_inline bool is_native(u64 regs) {
  return !(GET(bpf_get_current_task(), task_struct, status) & TS_COMPAT);
}
#endif

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

static __always_inline void describe_unix(struct trace_channel_record *record, u64 sk, u32 level) {
  record->unix_end.peer_inode = peer_inode(sk);
  record->unix_end.type = GET(sk, sock, type);
  const u64 peer = GET_NUMBER(sk, unix_sock, peer);
  record->unix_end.mutual = peer && GET_NUMBER(peer, unix_sock, peer) == sk;
  record->unix_end.net_ns = GET(GET(sk, sock, net), net, inum);
  record->unix_end.peer_pid = pid_at(GET_NUMBER(sk, sock, peer_pid), level);
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
  const u64 text = number_at(GET_NUMBER(GET_NUMBER(file, file, dentry), dentry, name));
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

/** What a file of the current process is. */
struct led_to {
  u64 file;
  u64 inode;
  u64 super;
  u64 sk;       /* of a socket, else 0 */
  u64 number;   /* as trace_channel_record has it */
  u64 distinct; /* what no other live channel of its kind has, for its key */
  u32 kind;     /* TRACE_NO_KIND: no channel */
};

/** The open file behind a descriptor of a task; 0: none. */
static __always_inline u64 file_behind(u64 task, int fd) {
  const u64 files = GET_NUMBER(task, task_struct, files);
  if (!files || fd < 0) {
    return 0;
  }
  const u64 table = GET_NUMBER(files, files_struct, fdt);
  return (u32)fd < GET(table, fdtable, max_fds)
             ? number_at(GET_NUMBER(table, fdtable, fd) + (u64)(u32)fd * 8)
             : 0;
}

/** For an inode number that is only distinct within its file system. */
static __always_inline void mix_device(struct led_to *to) {
  to->distinct = to->number ^ (u64)GET(to->super, super_block, dev) << 36;
}

/** Takes a file for one that is no channel, which has an inode of its own. */
static __always_inline void see_file(struct led_to *to, u64 file) {
  to->file = file;
  to->inode = GET_NUMBER(file, file, inode);
  to->super = GET_NUMBER(to->inode, inode, sb);
  to->sk = 0;
  to->number = to->distinct = GET(to->inode, inode, ino);
  to->kind = TRACE_NO_KIND;
}

static __always_inline void identify_terminal(struct led_to *to) {
  const u32 major = GET(to->inode, inode, rdev) >> 20;
  if (major < UNIX98_PTY_SLAVE_MAJOR && major != TTYAUX_MAJOR) {
    return;
  }
  const u64 private = GET_NUMBER(to->file, file, private_data);
  const u64 tty = private ? GET_NUMBER(private, tty_file_private, tty) : 0;
  if (!tty) {
    return;
  }
  const u32 driver = GET(GET(tty, tty_struct, driver), tty_driver, major);
  if (driver == UNIX98_PTY_MASTER_MAJOR || driver == UNIX98_PTY_SLAVE_MAJOR) {
    to->kind = TRACE_PTY;
    to->number = to->distinct = GET(tty, tty_struct, index);
  }
}

/** What has an inode that others have, too, or lies in memory. regular: it is no directory. */
static __always_inline void identify_other(struct led_to *to, bool regular, u32 shm_device,
                                           u32 level) {
  const u32 magic = (u32)GET(to->super, super_block, magic);
  if (magic == ANON_INODE_FS_MAGIC || magic == PID_FS_MAGIC) {
    const u64 private = GET_NUMBER(to->file, file, private_data);
    to->kind = magic == PID_FS_MAGIC ? TRACE_PIDFD : anonymous_kind(to->file);
    to->number = private;
    if (to->kind == TRACE_EVENTFD) {
      to->number = GET(private, eventfd_ctx, id);
    } else if (to->kind == TRACE_PIDFD) {
      to->number =
          pid_at(magic == PID_FS_MAGIC ? GET_NUMBER(to->inode, inode, private) : private, level);
    }
    to->distinct = to->number;
  } else if (magic == MQUEUE_MAGIC && regular) {
    to->kind = TRACE_MQ;
    mix_device(to);
  } else if (magic == TMPFS_MAGIC && regular && shm_device != UNKNOWN_U32) {
    const u64 text = number_at(GET_NUMBER(GET_NUMBER(to->file, file, dentry), dentry, name));
    if ((text & 0xffffffffffffULL) == NAME8('m', 'e', 'm', 'f', 'd', ':', 0, 0)) {
      to->kind = TRACE_MEMFD;
    } else if (GET(to->super, super_block, dev) == shm_device) {
      to->kind =
          (u32)text == (u32)NAME8('s', 'e', 'm', '.', 0, 0, 0, 0) ? TRACE_POSIXSEM : TRACE_POSIXSHM;
    }
    mix_device(to);
  }
}

/**
 * Which kind of channel a file is. shm_device: that of /dev/shm; UNKNOWN_U32 leaves out files in
 * memory. level: of ipcscope's PID namespace.
 */
static __always_inline void identify(struct led_to *to, u64 file, u32 shm_device, u32 level) {
  see_file(to, file);
  const u32 type = GET(to->inode, inode, mode) & S_IFMT;
  if (type == S_IFIFO) {
    to->kind = TRACE_PIPE;
    if (GET(to->super, super_block, magic) != PIPEFS_MAGIC) {
      to->kind = TRACE_FIFO;
      mix_device(to);
    }
  } else if (type == S_IFSOCK) {
    const u64 socket = GET_NUMBER(file, file, private_data);
    to->sk = socket ? GET_NUMBER(socket, socket, sk) : 0;
    if (to->sk) {
      to->kind = socket_kind(to->sk);
    }
  } else if (type == S_IFCHR) {
    identify_terminal(to);
  } else {
    identify_other(to, type == S_IFREG, shm_device, level);
  }
}

/** The number of the IPC namespace that a task is in. */
static __always_inline u32 ipc_space_of(u64 task) {
  const u64 proxy = GET_NUMBER(task, task_struct, nsproxy);
  return proxy ? GET(GET(proxy, nsproxy, ipc_ns), ipc_namespace, inum) : 0;
}

/** The key of a System V object: identifiers are distinct within an IPC namespace. */
static __always_inline u64 sysv_key(u32 kind, u32 id, u32 space) {
  return make_key(kind, (u64)id | (u64)(space & 0xffffff) << 32);
}

/** What user space needs to name the channel. key, and who uses it, the caller fills in. */
static __always_inline void describe_channel(struct trace_channel_record *record,
                                             const struct led_to *to, u32 level) {
  clear_channel(record);
  record->channel_kind = to->kind;
  record->number = to->number;
  record->device = GET(to->super, super_block, dev);
  if (to->kind == TRACE_UNIX) {
    describe_unix(record, to->sk, level);
  } else if (to->kind == TRACE_TCP || to->kind == TRACE_UDP) {
    describe_inet(record, to->sk);
  } else if (!to->sk) {
    const u64 dentry = GET_NUMBER(to->file, file, dentry);
    record->unlinked = GET(to->inode, inode, nlink) == 0;
    const u32 length = GET(dentry, dentry, name_length);
    record->name_length = (u16)(length < TRACE_NAME_MAX ? length : TRACE_NAME_MAX);
    bpf_probe_read_kernel_str(record->name, TRACE_NAME_MAX,
                              (void *)GET_NUMBER(dentry, dentry, name));
  }
}

#endif
