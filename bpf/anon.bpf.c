// SPDX-License-Identifier: GPL-2.0-or-later
#include "walk.h"

#define EFD_SEMAPHORE 1
#define PID_FS_MAGIC 0x50494446
#define EPOLL_ITEMS_MAX 65536

static __always_inline int eventfd_describe(u64 file) {
  const u64 context = GET(file, file, private_data);
  const u64 event = VIEW(context, eventfd_ctx);
  struct eventfd_record *record = &out.eventfd;
  record->file.head.kind = RECORD_EVENTFD;
  record->file.object = context;
  record->count = READ(event, eventfd_ctx, count);
  record->semaphore = READ(event, eventfd_ctx, flags) & EFD_SEMAPHORE;
  record->id = (u32)READ(event, eventfd_ctx, id);
  record->waiters = (u32)threads_on(ADDRESS(context, eventfd_ctx, waiters));
  record->reserved = 0;
  return sizeof(struct eventfd_record);
}

static __always_inline int signalfd_describe(u64 file) {
  const u64 context = GET(file, file, private_data);
  out.signalfd.file.head.kind = RECORD_SIGNALFD;
  out.signalfd.file.object = (u64)context;
  out.signalfd.mask = ~GET(context, signalfd_ctx, sigmask); /* it keeps what is not to be read */
  return sizeof(struct signalfd_record);
}

static __always_inline int timerfd_describe(u64 file) {
  const u64 context = GET(file, file, private_data);
  const u64 timer = VIEW(context, timerfd_ctx);
  struct timerfd_record *record = &out.timerfd;
  record->file.head.kind = RECORD_TIMERFD;
  record->file.object = context;
  record->clock = (u32)READ(timer, timerfd_ctx, clockid);
  record->interval_ns = READ(timer, timerfd_ctx, tintv);
  record->ticks = READ(timer, timerfd_ctx, ticks);
  record->reserved = 0;
  record->remaining_ns = UNKNOWN_U64;
  if (record->clock > 1) {
    return sizeof(struct timerfd_record); /* boot time and the alarm clocks have another base */
  }
  u8 queued = 0;
  if (HAS(timerfd_ctx, timer_queued)) {
    queued = READ(timer, timerfd_ctx, timer_queued);
  } else if (HAS(timerfd_ctx, timer_state)) {
    queued = READ(timer, timerfd_ctx, timer_state) & 1; /* HRTIMER_STATE_ENQUEUED */
  } else {
    return sizeof(struct timerfd_record);
  }
  if (!HAS(timerfd_ctx, expires)) {
    return sizeof(struct timerfd_record);
  }
  if (!queued) {
    record->remaining_ns = 0;
    return sizeof(struct timerfd_record);
  }
  u64 now = bpf_ktime_get_ns();
  if (record->clock == 0) {
    now += realtime_offset;
  }
  const s64 remaining = (s64)(READ(timer, timerfd_ctx, expires) - now);
  record->remaining_ns = remaining > 0 ? (u64)remaining : 0;
  return sizeof(struct timerfd_record);
}

static __always_inline int pidfd_describe(u64 file) {
  const u64 view = VIEW(file, file);
  const u64 inode = READ(view, file, inode);
  out.pidfd.file.head.kind = RECORD_PIDFD;
  /* pidfs has an inode for each process since 6.9; before, the file holds the struct pid. */
  u64 pid = READ(READ(inode, inode, sb), super_block, magic) == PID_FS_MAGIC
                ? number_of(READ(inode, inode, private))
                : number_of(READ(view, file, private_data));
  out.pidfd.file.object = pid;
  out.pidfd.target = (u32)pid_number(pid);
  out.pidfd.reserved = 0;
  return sizeof(struct pidfd_record);
}

static __always_inline int inotify_describe(u64 file) {
  const u64 group = GET(file, file, private_data);
  out.inotify.file.head.kind = RECORD_INOTIFY;
  out.inotify.file.object = (u64)group;
  out.inotify.watches = (u32)list_length(ADDRESS(group, fsnotify_group, marks_list));
  out.inotify.reserved = 0;
  return sizeof(struct inotify_record);
}

static __always_inline int io_uring_describe(u64 file) {
  const u64 context = GET(file, file, private_data);
  const u64 ring = VIEW(context, io_ring_ctx);
  struct io_uring_record *record = &out.io_uring;
  record->file.head.kind = RECORD_IO_URING;
  record->file.object = context;
  record->sq_entries = UNKNOWN_U32;
  record->cq_entries = UNKNOWN_U32;
  record->sq_pending = UNKNOWN_U32;
  record->cq_pending = UNKNOWN_U32;
  if (HAS(io_ring_ctx, sq_entries) && HAS(io_ring_ctx, rings)) {
    const u64 rings = READ(ring, io_ring_ctx, rings);
    record->sq_entries = READ(ring, io_ring_ctx, sq_entries);
    record->cq_entries = READ(ring, io_ring_ctx, cq_entries);
    record->sq_pending = READ(rings, io_rings, sq_tail) - READ(rings, io_rings, sq_head);
    record->cq_pending = READ(rings, io_rings, cq_tail) - READ(rings, io_rings, cq_head);
  }
  return sizeof(struct io_uring_record);
}

static __always_inline int epoll_describe(u64 file) {
  const u64 epoll = GET(file, file, private_data);
  out.epoll.file.head.kind = RECORD_EPOLL;
  out.epoll.file.object = (u64)epoll;
  out.epoll.items = UNKNOWN_U32; /* user space counts the items that follow */
  out.epoll.reserved = 0;
  return sizeof(struct epoll_record);
}

#define PARENT 0 /* with the colour in the lowest bits */
#define RIGHT 8
#define LEFT 16

#define TREE_DEPTH_MAX 32

u64 successor; /* of the node that advance() was called for */

static long descend_left(u32 round, void *context) {
  const u64 left = read_word(successor + LEFT);
  if (!left) {
    return 1;
  }
  successor = left;
  return 0;
}

static long ascend_from_right(u32 round, void *context) {
  const u64 child = successor;
  successor = read_word(child + PARENT) & ~3UL;
  return !successor || read_word(successor + RIGHT) != child;
}

/** From a node of the tree to the next: rb_next() of lib/rbtree.c, with bounded steps. */
__noinline int advance(u64 node) {
  successor = read_word(node + RIGHT);
  if (successor) {
    repeat(TREE_DEPTH_MAX, descend_left);
  } else {
    successor = node;
    repeat(TREE_DEPTH_MAX, ascend_from_right);
  }
  return 0;
}

/** In its own function, where the verifier checks loops round by round: verified once. */
STEP_FUNCTION int epoll_send_item(u64 file, u64 node) {
  const u64 item = VIEW(CONTAINER(node, epitem, rbn), epitem);
  struct epoll_item_record *record = &out.epoll_item;
  record->head.kind = RECORD_EPOLL_ITEM;
  record->head.size = sizeof(struct epoll_item_record);
  record->epoll = file;
  record->target = READ(item, epitem, file);
  record->fd = READ(item, epitem, fd);
  record->events = READ(item, epitem, events);
  tell_references(number_of(READ(item, epitem, file)), -1);
  return send_record(sizeof(struct epoll_item_record));
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
  const u64 epoll = GET(file, file, private_data);
  successor = GET(epoll, eventpoll, leftmost);
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
  const u64 view = VIEW(file, file);
  if (READ(READ(READ(view, file, inode), inode, sb), super_block, magic) == PID_FS_MAGIC) {
    return pidfd_describe(file);
  }
  const u64 name = READ(READ(view, file, dentry), dentry, name);
  u64 text = 0; /* the names that /proc/PID/fd shows behind "anon_inode:" */
  bpf_probe_read_kernel(&text, sizeof text, (void *)name);
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
