// SPDX-License-Identifier: GPL-2.0-or-later
#include "walk.h"

#define EFD_SEMAPHORE 1
#define PID_FS_MAGIC 0x50494446
#define EPOLL_ITEMS_MAX 65536

static __always_inline int eventfd_describe(u64 file) {
  struct eventfd_ctx *event = (struct eventfd_ctx *)READ((struct file *)file, private_data);
  struct eventfd_record *record = &out.eventfd;
  record->file.head.kind = RECORD_EVENTFD;
  record->file.object = (u64)event;
  record->count = READ(event, count);
  record->semaphore = READ(event, flags) & EFD_SEMAPHORE;
  record->id = (u32)READ(event, id);
  record->waiters = (u32)threads_on(number_of(&event->wqh.head));
  record->reserved = 0;
  return sizeof(struct eventfd_record);
}

static __always_inline int signalfd_describe(u64 file) {
  struct signalfd_ctx *context = (struct signalfd_ctx *)READ((struct file *)file, private_data);
  out.signalfd.file.head.kind = RECORD_SIGNALFD;
  out.signalfd.file.object = (u64)context;
  out.signalfd.mask = ~READ(context, sigmask.sig[0]); /* it keeps what is not to be read */
  return sizeof(struct signalfd_record);
}

static __always_inline int timerfd_describe(u64 file) {
  struct timerfd_ctx *timer = (struct timerfd_ctx *)READ((struct file *)file, private_data);
  struct timerfd_record *record = &out.timerfd;
  record->file.head.kind = RECORD_TIMERFD;
  record->file.object = (u64)timer;
  record->clock = (u32)READ(timer, clockid);
  record->interval_ns = (u64)READ(timer, tintv);
  record->ticks = READ(timer, ticks);
  record->reserved = 0;
  record->remaining_ns = UNKNOWN_U64;
  if (record->clock > 1) {
    return sizeof(struct timerfd_record); /* boot time and the alarm clocks have another base */
  }
  if (!bpf_core_field_exists(timer->t.tmr.node.expires)) {
    return sizeof(struct timerfd_record);
  }
  if (!(READ(timer, t.tmr.state) & 1)) { /* HRTIMER_STATE_ENQUEUED */
    record->remaining_ns = 0;
    return sizeof(struct timerfd_record);
  }
  u64 now = bpf_ktime_get_ns();
  if (record->clock == 0) {
    now += realtime_offset;
  }
  const s64 remaining = READ(timer, t.tmr.node.expires) - (s64)now;
  record->remaining_ns = remaining > 0 ? (u64)remaining : 0;
  return sizeof(struct timerfd_record);
}

static __always_inline int pidfd_describe(u64 file) {
  struct inode *inode = READ((struct file *)file, f_inode);
  out.pidfd.file.head.kind = RECORD_PIDFD;
  /* pidfs has an inode for each process since 6.9; before, the file holds the struct pid. */
  u64 pid = READ((struct file *)file, f_inode, i_sb, s_magic) == PID_FS_MAGIC
                ? number_of(READ(inode, i_private))
                : number_of(READ((struct file *)file, private_data));
  out.pidfd.file.object = pid;
  out.pidfd.target = (u32)pid_number(pid);
  out.pidfd.reserved = 0;
  return sizeof(struct pidfd_record);
}

static __always_inline int inotify_describe(u64 file) {
  struct fsnotify_group *group = (struct fsnotify_group *)READ((struct file *)file, private_data);
  out.inotify.file.head.kind = RECORD_INOTIFY;
  out.inotify.file.object = (u64)group;
  out.inotify.watches = (u32)list_length(number_of(&group->marks_list));
  out.inotify.reserved = 0;
  return sizeof(struct inotify_record);
}

static __always_inline int io_uring_describe(u64 file) {
  struct io_ring_ctx *ring = (struct io_ring_ctx *)READ((struct file *)file, private_data);
  struct io_uring_record *record = &out.io_uring;
  record->file.head.kind = RECORD_IO_URING;
  record->file.object = (u64)ring;
  record->sq_entries = UNKNOWN_U32;
  record->cq_entries = UNKNOWN_U32;
  record->sq_pending = UNKNOWN_U32;
  record->cq_pending = UNKNOWN_U32;
  if (bpf_core_field_exists(ring->sq_entries) && bpf_core_field_exists(ring->rings)) {
    struct io_rings *rings = READ(ring, rings);
    record->sq_entries = READ(ring, sq_entries);
    record->cq_entries = READ(ring, cq_entries);
    record->sq_pending = READ(rings, sq.tail) - READ(rings, sq.head);
    record->cq_pending = READ(rings, cq.tail) - READ(rings, cq.head);
  }
  return sizeof(struct io_uring_record);
}

static __always_inline int epoll_describe(u64 file) {
  struct eventpoll *epoll = (struct eventpoll *)READ((struct file *)file, private_data);
  out.epoll.file.head.kind = RECORD_EPOLL;
  out.epoll.file.object = (u64)epoll;
  out.epoll.items = UNKNOWN_U32; /* user space counts the items that follow */
  out.epoll.reserved = 0;
  return sizeof(struct epoll_record);
}

#define PARENT 0 /* with the colour in the lowest bits */
#define RIGHT 8
#define LEFT 16

/* The successor in the tree: rb_next() of lib/rbtree.c, with bounded steps. */
static u64 next_node(u64 node) {
  u64 child = read_word(node + RIGHT);
  if (child) {
    for (int depth = 0; depth < 32; depth++) {
      const u64 left = read_word(child + LEFT);
      if (!left) {
        return child;
      }
      child = left;
    }
    return 0;
  }
  for (int depth = 0; depth < 32; depth++) {
    const u64 parent = read_word(node + PARENT) & ~3UL;
    if (!parent || read_word(parent + RIGHT) != node) {
      return parent;
    }
    node = parent;
  }
  return 0;
}

/** In its own function: verified once, not once for each item. */
__noinline int epoll_send_item(u64 file, u64 node) {
  struct epitem *item = container_address(node, struct epitem, rbn);
  struct epoll_item_record *record = &out.epoll_item;
  record->head.kind = RECORD_EPOLL_ITEM;
  record->head.size = sizeof(struct epoll_item_record);
  record->epoll = file;
  record->target = (u64)READ(item, ffd.file);
  record->fd = READ(item, ffd.fd);
  record->events = READ(item, event.events);
  return send_record(sizeof(struct epoll_item_record));
}

u64 successor;

__noinline int advance(u64 node) {
  successor = next_node(node);
  return 0;
}

u32 items_ring_full; /* not static: the compiler would shrink it to a byte, against its BTF */

u64 items_of;

static long send_next_item(u32 round, void *context) {
  if (!successor) {
    return 1;
  }
  if (epoll_send_item(items_of, successor)) {
    items_ring_full = 1;
    return 1;
  }
  advance(successor);
  return 0;
}

__noinline int epoll_send_items(u64 file) {
  struct eventpoll *epoll = (struct eventpoll *)READ((struct file *)file, private_data);
  successor = (u64)READ(epoll, rbr.rb_leftmost);
  items_ring_full = 0;
  if (!successor) {
    return 0;
  }
  items_of = file;
  repeat(EPOLL_ITEMS_MAX, send_next_item);
  if (successor && !items_ring_full) {
    items_lost++;
  }
  return items_ring_full != 0;
}

/**
 * All kinds in one function: libbpf 1.1 makes light skeletons of at most 32 functions
 * (MAX_USED_PROGS in gen_loader.c).
 */
__noinline int anonymous_describe(u64 file) {
  if (READ((struct file *)file, f_inode, i_sb, s_magic) == PID_FS_MAGIC) {
    return pidfd_describe(file);
  }
  const unsigned char *name = READ((struct file *)file, f_path.dentry, d_name.name);
  u64 text = 0; /* the names that /proc/PID/fd shows behind "anon_inode:" */
  bpf_probe_read_kernel(&text, sizeof text, name);
#define NAME8(a, b, c, d, e, f, g, h)                                                             \
  ((u64)(a) | (u64)(b) << 8 | (u64)(c) << 16 | (u64)(d) << 24 | (u64)(e) << 32 | (u64)(f) << 40 | \
   (u64)(g) << 48 | (u64)(h) << 56)
  if (text == NAME8('[', 'e', 'v', 'e', 'n', 't', 'f', 'd')) {
    return eventfd_describe(file);
  }
  if (text == NAME8('[', 'e', 'v', 'e', 'n', 't', 'p', 'o')) {
    return epoll_describe(file);
  }
  if (text == NAME8('[', 's', 'i', 'g', 'n', 'a', 'l', 'f')) {
    return signalfd_describe(file);
  }
  if (text == NAME8('[', 't', 'i', 'm', 'e', 'r', 'f', 'd')) {
    return timerfd_describe(file);
  }
  if (text == NAME8('[', 'p', 'i', 'd', 'f', 'd', ']', 0)) {
    return pidfd_describe(file);
  }
  if (text == NAME8('i', 'n', 'o', 't', 'i', 'f', 'y', 0) ||
      text == NAME8('[', 'i', 'n', 'o', 't', 'i', 'f', 'y')) {
    return inotify_describe(file);
  }
  if (text == NAME8('[', 'i', 'o', '_', 'u', 'r', 'i', 'n')) {
    return io_uring_describe(file);
  }
  return 0;
}
