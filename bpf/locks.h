/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Waiting as it is measured at the scheduler: what the programs of locks and user space share. */
#ifndef IPCSCOPE_LOCKS_H
#define IPCSCOPE_LOCKS_H
#include "record.h"
#include "registers.h"

/* What a system call waits at, by which it is told who may end the wait. */
enum lock_class {
  WAIT_AT_NOTHING,
  WAIT_AT_FUTEX,   /* futex(): the operation decides */
  WAIT_AT_FUTEX2,  /* futex_wait() and its relatives */
  WAIT_AT_FUTEXES, /* futex_waitv(): the first of the vector stands for all */
  WAIT_AT_FILE,    /* a descriptor */
  WAIT_AT_SPLICE,  /* either of two descriptors */
  WAIT_AT_SEM,     /* System V */
  WAIT_AT_MSG,
  WAIT_AT_FLOCK,
  WAIT_AT_FCNTL,
};

/* As WaitPurpose (collectors/model/lock_window.h). */
enum lock_purpose { LOCK_FOR_LOCK, LOCK_FOR_ROOM, LOCK_FOR_DATA, LOCK_FOR_EVENT };

/* One system call, by its number. Its first argument is the descriptor, the id or the address. */
struct lock_call {
  u8 wait;     /* lock_class; WAIT_AT_NOTHING: nobody waits in it */
  u8 wake;     /* lock_class of the waits that it may end */
  u8 purpose;  /* lock_purpose */
  u8 limit;    /* 1 + the argument that is a time limit: a pointer, 0 for none */
  u8 limit_ms; /* 1: no pointer, but milliseconds, negative for none */
  u8 reserved[3];
};

#define LOCK_CALLS 512

/* What is waited at. */
struct lock_key {
  u64 object; /* futex: its address; file: the inode's; System V: the id; an alias: its number */
  u32 space;  /* futex: the process; System V: the IPC namespace; file: the inode's number */
  u16 wait;   /* lock_class */
  u16 purpose;
};
RECORD_ASSERT(sizeof(struct lock_key) == 16, "lock_key");

#define TURNS_MAX 20480  /* more than locks: two CPUs may claim the same ones */
#define LOCK_BUCKETS 176 /* DurationHistogram: four to an octave */
#define LOCK_ENDS 4      /* WaitEnd */

/* One lock or queue. Times in ns. */
struct lock_value {
  u64 waits; /* finished */
  u64 total;
  u64 longest;
  u64 woken_again; /* began again, in the same attempt */
  u32 ended;       /* for user space: of its turns; never begins anew */
  u32 reserved2;
  u64 hold; /* likewise */
  u64 ends[LOCK_ENDS];
  u64 file;     /* address of the file of a waiter, or of the System V queue */
  u64 inode;    /* its inode's number */
  u64 expected; /* futex: the value that the first waiter expected */
  u64 address;  /* futex: that of the word, as the first waiter has it */
  u32 device;
  u32 mode;
  u32 turns; /* index of its lock_turns */
  u32 epoch; /* whose statistics these are */
  u32 pid;   /* the first waiter, in ipcscope's PID namespace */
  u32 tid;
  s32 fd;
  u32 call;      /* number of its system call */
  u32 operation; /* futex: the second argument */
  u32 reserved;
  u32 histogram[LOCK_BUCKETS];
};
RECORD_ASSERT(sizeof(struct lock_value) == 152 + 4 * LOCK_BUCKETS, "lock_value");

/* Who takes a lock after whom: what each attempt changes, found without its key. */
struct lock_turns {
  u64 count;     /* waits now; and above 32 bits those that ended since it was first seen */
  u64 last_wake; /* CLOCK_MONOTONIC */
  u64 hold;      /* longest: from the last wake-up, or the begin of a wait, to one by the holder */
  u64 claims;    /* 1: it has a lock */
  u32 epoch;     /* whose hold this is */
  u32 reserved;
};
#define TURN_ENDED (1ULL << 32)
RECORD_ASSERT(sizeof(struct lock_turns) == 40, "lock_turns");

/* How a thread stands behind another. As HolderSource, with the word's place. */
enum lock_holder {
  HOLDER_NONE,
  HOLDER_WORD,  /* the futex word is a TID */
  HOLDER_AT_8,  /* mutex */
  HOLDER_AT_12, /* rwlock, seen by a writer */
  HOLDER_AT_16, /* rwlock, seen by a reader */
  HOLDER_FILE,  /* the blocking file lock's process */
  HOLDER_WAKER,
};

struct pair_key {
  struct lock_key lock;
  u32 waiter; /* TID, in ipcscope's PID namespace */
  u32 holder; /* TID as the word has it, else in ipcscope's; 0 unknown */
  u32 source; /* lock_holder */
  u32 reserved;
};

struct pair_value {
  u64 waits;
  u64 total;
  u64 longest;
  u64 overtakes;
  u64 overtakes_max;
  u64 attempts;
  u64 attempt_max;
  u32 waiter_pid;
  u32 waker; /* who ended the last wait; 0: not a thread, or not seen */
  u32 waker_pid;
  u32 epoch;
  char waiter_comm[16];
  char waker_comm[16];
};
RECORD_ASSERT(sizeof(struct pair_value) == 104, "pair_value");

#define KEPT_MAX 8

/*
 * What a thread waits at, and how its last wait there went. What a short wait at a file needs comes
 * first: it is one line of the cache.
 */
struct lock_wait {
  u32 tid; /* whose it is, in the first PID namespace; 0: nobody's */
  u32 call;
  u64 begin; /* CLOCK_MONOTONIC; 0: it does not wait */
  u64 file;  /* file or System V queue that was waited at, in this call: then the key is the same */
  u64 clock; /* CLOCK_MONOTONIC - scheduler's clock, where that measures the wait; else 0 */
  u64 run_at_begin; /* CPU time when the wait began */
  u64 sleeps;       /* voluntary context switches when the wait began */
  u8 by_data;       /* the file's private data tells which it is, not its inode */
  u8 limited;       /* the call has a time limit */
  u8 waker_seen;    /* in this wait; at a file, in one of the last few */
  u8 waker_exits;
  u8 earlier; /* it waited when measuring began: for longer than is known */
  u8 shared;  /* this place was wanted by a second thread */
  u8 reserved[2];
  u32 waker;       /* the last one that was seen, in ipcscope's PID namespace */
  u32 kept;        /* waits that are not counted yet */
  u32 kept_holder; /* as in pair_key, of all of them */
  u8 kept_source;
  u8 kept_end;   /* WaitEnd */
  u8 kept_woken; /* by waker */
  u8 reserved2;
  u32 kept_epoch;
  u32 kept_again; /* of them, those that went on with an attempt */
  u64 kept_ns[KEPT_MAX];
  u64 kept_attempt_max;
  u64 kept_overtakes;
  u64 kept_overtakes_max;
  struct lock_key key;
  u64 attempt_begin; /* 0: not at a lock */
  u64 run_before;    /* CPU time when the last wait ended */
  u64 overtakes;     /* of the attempt, when its last wait ended */
  u64 address;       /* futex: that of the word, as the thread has it */
  u64 woken_at;
  u32 operation;      /* futex: the second argument */
  u32 waiting_before; /* threads that waited already when the attempt began */
  u32 holder;
  u32 source;
  u32 group;   /* futex: its process */
  u32 blocker; /* process of the file lock that is in the way */
  u8 released; /* it woke somebody at this lock since */
  u8 again;    /* not the first wait of its attempt */
  u8 woken;    /* the last wait ended by a wake-up */
  u8 reserved3;
  u32 waker_pid;
  char waker_comm[16];
  u32 turns;        /* index of the lock's lock_turns */
  u32 aliases;      /* lock_state.aliases when the key was found */
  u32 ended_before; /* waits at the lock that had ended when the attempt began */
  u32 reserved4;
  u64 task; /* address of its task_struct */
};
RECORD_ASSERT(sizeof(struct lock_wait) == 296, "lock_wait");

/* Around a futex word: as FutexView. */
#define LOCK_MEMORY_BEFORE 48
#define LOCK_MEMORY_AFTER 48

/* Sent when the first thread waits at a lock. */
struct lock_news {
  struct lock_key key;
  u64 args[6];
  u32 pid;
  u32 tid;
  u32 call;
  u32 reserved;
  u32 lower; /* 1: the memory before the word, and behind it, could be read */
  u32 upper;
  u8 memory[LOCK_MEMORY_BEFORE + LOCK_MEMORY_AFTER];
};
RECORD_ASSERT(sizeof(struct lock_news) == 184, "lock_news");

#define LOCK_FRAMES 32

/* Where somebody woke a waiter from; the value counts how often. */
struct waker_key {
  struct lock_key lock;
  u32 tid;
  u32 pid;
  s32 stack; /* of the map of stacks */
  u32 reserved;
};

/*
 * What it takes to find out, without frame pointers, where a waker was: its registers, and its
 * stack from the stack pointer on. Sent for the first wake-up of a waker_key, the second, the
 * fourth ...
 */
#define COPY_MAX 8192
#define COPY_LEAST 512
#define COPIED_WAKES 64

struct waker_copy {
  struct waker_key key;
  u64 instruction;
  u64 stack; /* where the copy begins */
  u32 bytes; /* of the copy */
  u32 reserved;
  u64 registers[REGISTERS]; /* as registers_record has them */
  u8 copy[COPY_MAX];
};

/* One thread's wait that is in progress; written by an iterator. */
struct lock_pending {
  struct lock_wait wait;
  u32 pid;
  u32 tid;
  u32 call;
  u32 waits; /* 0: it does not, but has waits that are not counted yet */
  u64 args[6];
  char comm[16];
};

#define QUEUE_LOOKS 16

/* What waits in a queue of messages. A message is its address: it may be another one later. */
struct queue_look {
  u64 address; /* of the System V queue, or of the inode of a POSIX one; set by user space */
  u32 is_posix;
  u32 id;     /* System V: as it must be */
  u64 oldest; /* of the lowest priority; 0: none */
  u64 other;  /* the one that goes next, when that is another; else 0 */
};

/* How functions for locks are probed. */
enum deep_way {
  DEEP_NOT,
  DEEP_ONE_BY_ONE,   /* by an event for each */
  DEEP_ALL_TOGETHER, /* by one link for all of a file: see collectors/locks/uprobe_multi.h */
};

/* Which waits count. Set by user space before loading. Empty lists: all. */
#define LOCK_FILTER_MAX 16
struct lock_filter {
  u32 self; /* ipcscope's own process, which never counts */
  u32 pids;
  u32 pid[LOCK_FILTER_MAX];
  u32 tids;
  u32 tid[LOCK_FILTER_MAX];
  u32 by_uid;
  u32 uid;
  u32 comm_size;
  char comm[16];
  u32 by_cgroup;
  u64 cgroup;
  u64 min_wait;
  u32 stacks;          /* of those who wake */
  u32 scheduler_clock; /* 1: the scheduler's clock is the same on all CPUs */
  u32 deep;            /* deep_way; for those who load the programs */
};

/* What the programs tell. */
struct lock_state {
  u64 lost_waits; /* at locks that did not fit */
  u64 lost_pairs;
  u64 lost_news;
  u64 lost_threads; /* waits of threads for which there was no memory */
  u64 epoch_begin;  /* CLOCK_MONOTONIC; set by user space, as the next one */
  u32 epoch;        /* statistics of an earlier one are void */
  u32 own_level;    /* of ipcscope's PID namespace */
  u32 processes;    /* that were seen when measuring began */
  u32 measuring;    /* set when it is known */
  u32 aliases;      /* how many there are: a futex may be known by another key now */
  u32 turns;        /* the next lock_turns to claim */
  u64 same_attempt; /* CPU time in which a thread gets no turn at a lock; set by user space */
};

#endif
