/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the programs of bpf/ share among themselves: the walk and its helpers. */
#ifndef IPCSCOPE_WALK_H
#define IPCSCOPE_WALK_H

#include "kernel.h"
#include "references.h"
#include "related.h"
#include "state.h"
#include "thread.h"

#define SOCKFS_MAGIC 0x534f434b
#define ANON_INODE_FS_MAGIC 0x09041934
#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define AF_NETLINK 16
#define AF_PACKET 17
#define AF_VSOCK 40
#define TCP_LISTEN 10

/* What a walk does with the descriptors of a process. */
enum treatment { SKIP, COUNT, DESCRIBE };

#define DESCRIPTORS_PER_CALL (1 << 20) /* usually the most that a table can have */

extern union any_record out;
extern struct descriptor_table table;
extern struct relations relations;
extern u32 paused_fd;
extern u32 file_count;

/* Set by user space before the walk. */
extern u64 realtime_offset; /* CLOCK_REALTIME - CLOCK_MONOTONIC, ns */

/* Told to user space after it. */
extern u64 files_seen;
extern u64 items_lost; /* list entries beyond the bound of a loop */

/* Files inside a socket's queue (SCM_RIGHTS), to be described after the socket. */
extern u64 parked[PARKED_MAX];
extern u32 parked_count;
extern u32 terminal_openings; /* of both ends, at most; UNKNOWN_U32 */
extern u64 current_files;     /* files_struct of the process whose descriptors are being walked */

/**
 * Sends the first size bytes of out. 0 on success; else the ring is full and the walk has to pause
 * until user space has drained it.
 */
int send_record(u32 size);

/** Every describer fills the rest of out and says how many bytes it has; 0 drops the record. */
int pipe_describe(u64 pipe);
int socket_describe(u64 file);
int anonymous_describe(u64 file);
int pty_describe(u64 file); /* also sets terminal_openings */
int mq_describe(u64 file);
int shmem_describe(u64 file);
/* These send further records that belong to the file in out; 0, or the ring is full. */
int send_locks(u64 list, u64 file);
int epoll_send_items(u64 file);

/** The number of a struct pid in ipcscope's own PID namespace, 0 when it has none there. */
int pid_number(u64 pid);

/**
 * Calls step(i, NULL) for i = 0, 1, ... until it returns 1, at most max times; with a small bound
 * before 5.17, which has no bpf_loop and checks every round anew: WITHOUT_LOOPS is for these. A
 * step keeps its state in global variables: the verifier takes their values as unknown, while sums
 * on the stack would make every round a new state for it.
 */
#ifdef WITHOUT_LOOPS
#define repeat_on_old(max, old_max, step)                              \
  do {                                                                 \
    for (u32 round = 0; round < (old_max) && round < (max); round++) { \
      if (step(round, NULL)) {                                         \
        break;                                                         \
      }                                                                \
    }                                                                  \
  } while (0)
#else
#define repeat_on_old(max, old_max, step) bpf_loop(max, step, NULL, 0)
#endif
#define repeat(max, step) repeat_on_old(max, 32, step)

/**
 * What only one step calls: a light skeleton has no functions to spare, and its loops are checked
 * once.
 */
#ifdef DIRECT_READS
#define STEP_FUNCTION static __always_inline
#else
#define STEP_FUNCTION __noinline
#endif

/*
 * Structs whose layout never changed are read at fixed places: list_head, sk_buff and sk_buff_head
 * begin with next; rb_node is parent and colour, right, left; upid is a number and a namespace.
 */
static __always_inline u64 read_word(u64 address) {
  u64 word = 0;
  bpf_probe_read_kernel(&word, sizeof word, (void *)address);
  return word;
}
#define next_entry(entry) read_word(entry)
#define UPID_SIZE 16

/** Whether none of the descriptors from fd on is in use: a table stays as long as it ever was. */
static __always_inline bool is_batch_empty(u32 fd) {
  return table.open && !read_word(table.open + fd / DESCRIPTOR_BATCH * sizeof(u64));
}

/** How many entries a kernel list has; UNKNOWN_U32 when there are more than can be counted. */
#define list_length(list) count_entries(list, false)
/** The same for a wait queue, without the entries of epoll, which stand for no thread. */
#define threads_on(queue) count_entries(queue, true)
int count_entries(u64 list, u32 threads_only);

#endif
