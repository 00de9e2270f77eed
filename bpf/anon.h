/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files on anonymous inodes (eventfd, epoll, ...) and terminals. object is the struct file's own
 * state where two descriptions can share it, else the file. */
#ifndef IPCSCOPE_ANON_H
#define IPCSCOPE_ANON_H
#include "record.h"

struct eventfd_record {
  struct file_record file;
  u64 count;
  u32 id;        /* eventfd-id of fdinfo, UNKNOWN_U32 before 5.2 */
  u32 semaphore; /* EFD_SEMAPHORE; UNKNOWN_U32 */
  u32 waiters;   /* threads on its wait queue; UNKNOWN_U32 */
  u32 reserved;
};
RECORD_ASSERT(sizeof(struct eventfd_record) == 80, "eventfd_record");

/** One per descriptor of an epoll instance; its items follow as epoll_item_record. */
struct epoll_record {
  struct file_record file;
  u32 items; /* UNKNOWN_U32 */
  u32 reserved;
};
RECORD_ASSERT(sizeof(struct epoll_record) == 64, "epoll_record");

struct epoll_item_record {
  struct record head;
  u64 epoll;  /* file of the epoll instance */
  u64 target; /* file that is watched; 0 when a source cannot tell */
  s32 fd;     /* as it was registered */
  u32 events; /* EPOLL* */
};
RECORD_ASSERT(sizeof(struct epoll_item_record) == 32, "epoll_item_record");

struct signalfd_record {
  struct file_record file;
  u64 mask; /* bit n-1 = signal n is read here; UNKNOWN_U64 */
};
RECORD_ASSERT(sizeof(struct signalfd_record) == 64, "signalfd_record");

struct timerfd_record {
  struct file_record file;
  u64 remaining_ns; /* 0 when disarmed; UNKNOWN_U64 */
  u64 interval_ns;
  u64 ticks; /* expirations that were not read */
  u32 clock; /* CLOCK_* */
  u32 reserved;
};
RECORD_ASSERT(sizeof(struct timerfd_record) == 88, "timerfd_record");

struct pidfd_record {
  struct file_record file;
  u32 target; /* pid; 0 when it is gone or in another namespace; UNKNOWN_U32 */
  u32 reserved;
};
RECORD_ASSERT(sizeof(struct pidfd_record) == 64, "pidfd_record");

struct inotify_record {
  struct file_record file;
  u32 watches; /* UNKNOWN_U32 */
  u32 reserved;
};
RECORD_ASSERT(sizeof(struct inotify_record) == 64, "inotify_record");

struct io_uring_record {
  struct file_record file;
  u32 sq_entries;
  u32 cq_entries;
  u32 sq_pending; /* submitted and not yet taken by the kernel */
  u32 cq_pending; /* completed and not yet read */
};
RECORD_ASSERT(sizeof(struct io_uring_record) == 72, "io_uring_record");

struct pty_record {
  struct file_record file;
  u32 index;        /* N of /dev/pts/N */
  u32 master;       /* 1: this is the ptmx side */
  u32 stopped;      /* output stopped by ^S; UNKNOWN_U32 */
  u32 packet_mode;  /* TIOCPKT; UNKNOWN_U32 */
  u32 input_bytes;  /* typed on the master and not read from the slave; UNKNOWN_U32 */
  u32 output_bytes; /* written to the slave and not read from the master; UNKNOWN_U32 */
};
RECORD_ASSERT(sizeof(struct pty_record) == 80, "pty_record");

#endif
