/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every taking and letting go of locks, as `locks --deep` sees it: programs and user space. */
#ifndef IPCSCOPE_HELD_H
#define IPCSCOPE_HELD_H
#include "locks.h"

enum held_sort { HELD_MUTEX, HELD_RWLOCK, HELD_SEMAPHORE, HELD_CONDITION };

/* How a lock was taken, or is to be. */
#define HELD_SHARED 1 /* for reading */
#define HELD_MAYBE 2  /* by a call that may give up */
#define HELD_AGAIN 4  /* within pthread_cond_wait() and its relatives */

/* The sorts of functions that are probed; collectors/locks/deep_functions.cpp says which is which.
 */
enum deep_sort {
  DEEP_MUTEX_LOCK,
  DEEP_MUTEX_TRY,
  DEEP_MUTEX_UNLOCK,
  DEEP_READ_LOCK,
  DEEP_READ_TRY,
  DEEP_WRITE_LOCK,
  DEEP_WRITE_TRY,
  DEEP_RWLOCK_UNLOCK,
  DEEP_SEM_WAIT,
  DEEP_SEM_TRY,
  DEEP_SEM_POST,
  DEEP_COND_WAIT,
  DEEP_COND_SIGNAL,
  DEEP_SORTS,
};

#define HELD_MAX 8 /* locks of one thread at a time */

struct held_lock {
  u64 address; /* 0: none */
  u64 since;   /* CLOCK_MONOTONIC, ns */
  u32 depth;   /* taken so many times more by the same thread */
  u8 sort;     /* held_sort */
  u8 mode;
  u8 reserved[2];
};

/* Of one thread. */
struct held_locks {
  struct held_lock lock[HELD_MAX];
  u32 wanted; /* 1 + index of what it tries to take since its last call, as far as is known; or 0 */
  u32 calls;  /* since they were added to deep_state */
  /* For the programs alone: what the verifier would follow value by value if it were theirs. */
  u32 place;
  u32 reserved;
  u64 owned[HELD_MAX];
};

/* One lock and one thread, which alone writes the value. */
struct hold_key {
  struct lock_key lock; /* object: the lock's address, space: its process */
  u32 tid;
  u32 sort; /* held_sort */
};

/* Times in ns. */
struct hold_value {
  u64 taken; /* and let go of by the same thread */
  u64 total;
  u64 longest;
  u64 given; /* let go of, but not seen taken: semaphores, and what was held before */
  u64 signals;
  u32 pid;
  u32 epoch;
  char comm[16];
  u32 histogram[LOCK_BUCKETS];
};
RECORD_ASSERT(sizeof(struct hold_value) == 64 + 4 * LOCK_BUCKETS, "hold_value");

/* While one lock was held, a thread wanted another one, and would have waited for it. */
struct order_key {
  u64 held;
  u64 wanted;
  u32 space;
  u8 held_sort;
  u8 wanted_sort;
  u8 held_shared;
  u8 wanted_shared;
};
RECORD_ASSERT(sizeof(struct order_key) == 24, "order_key");

#define ORDER_GUARDS 2

struct order_value {
  u64 count;
  u64 guards[ORDER_GUARDS]; /* further locks that were held each time; 0: none */
  u32 pid;                  /* the first thread */
  u32 tid;
  u32 several; /* threads */
  u32 epoch;
  char comm[16];
};
RECORD_ASSERT(sizeof(struct order_value) == 56, "order_value");

/* What the programs tell. */
struct deep_state {
  u64 calls;       /* of probed functions; short by at most CALLS_AT_ONCE for each thread */
  u64 lost_holds;  /* at locks that did not fit */
  u64 lost_orders; /* of pairs that did not fit */
  u64 lost_held;   /* locks that were forgotten because a thread had more than HELD_MAX */
  u64 lost_threads;
};
#define CALLS_AT_ONCE 64

#endif
