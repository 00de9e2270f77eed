/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The types of the programs' global variables, for the programs and for the skeletons that list
 * them. */
#ifndef IPCSCOPE_STATE_H
#define IPCSCOPE_STATE_H

#include "anon.h"
#include "filelock.h"
#include "mq.h"
#include "pipe.h"
#include "shmem.h"
#include "socket.h"

#define SCM_MAX_FD 253 /* descriptors in one message; include/net/scm.h */
#define PARKED_MAX 512
#define DESCRIPTOR_BATCH 64

/** The record that is being filled. One walk runs at a time, so one is enough. */
union any_record {
  struct file_record file;
  struct pipe_record pipe;
  struct unix_record unix_socket;
  struct inet_record inet;
  struct socket_record socket;
  struct shmem_record shmem;
  struct mq_record mq;
  struct eventfd_record eventfd;
  struct epoll_record epoll;
  struct signalfd_record signalfd;
  struct timerfd_record timerfd;
  struct pidfd_record pidfd;
  struct inotify_record inotify;
  struct io_uring_record io_uring;
  struct pty_record pty;
  struct lock_record lock;
  struct epoll_item_record epoll_item;
};

/** Walk over the buffers of a pipe. */
struct pipe_sum {
  u64 buffers;
  u64 bytes;
  u32 at;
  u32 head;
  u32 mask;
};

/** Walk over the packets of a socket. */
struct packet_queue {
  u64 head;
  u64 at;
  u64 bytes;
  u64 park; /* of a UNIX socket: note the descriptors inside */
};

/** Walk over what a terminal has not taken yet. */
struct flip_buffers {
  u64 at;
  u64 bytes;
};

/** Walk over the locks of a file. */
struct lock_list {
  u64 list;
  u64 file;
};

/** Walk that counts a list. */
struct list_entries {
  u64 head;
  u64 at;
  u32 count;
  u32 threads_only;
};

/** Walk over the descriptors of a process. */
struct descriptor_table {
  u64 fds;
  u64 open; /* a bit for each descriptor in use */
  u32 max;
  u32 pid;
  u32 done;
  u32 is_read; /* files are those around the next descriptor */
  u64 files[DESCRIPTOR_BATCH];
};

#endif
