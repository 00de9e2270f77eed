// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Locks as programs take them and let go of them, whether somebody waits or not: at the entries of
 * glibc's functions. What a call returns is not looked at, because a probe there costs more than
 * all the rest: a lock counts as taken when the same thread lets go of it.
 *
 * Everything is kept by the thread that does it, so that nothing is counted atomically.
 */
#include "held.h"

#include "walk.h"

#define HOLDS_MAX 65536
#define ORDERS_MAX 16384

/* glibc 2.36: struct __pthread_mutex_s, struct __pthread_rwlock_arch_t */
#define MUTEX_OWNER 8
#define MUTEX_KIND 16
#define MUTEX_TYPE 3
#define MUTEX_RECURSIVE 1
#define RWLOCK_WRITER 24

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, HOLDS_MAX);
  __type(key, struct hold_key);
  __type(value, struct hold_value);
  __uint(map_flags, BPF_F_NO_PREALLOC);
} holds SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, ORDERS_MAX);
  __type(key, struct order_key);
  __type(value, struct order_value);
  __uint(map_flags, BPF_F_NO_PREALLOC);
} orders SEC(".maps");

struct hold_value no_hold SEC(".rodata");
struct deep_state deep_state;

/* The registers of a probed thread (asm/ptrace.h): where the first arguments are. */
#if defined(__TARGET_ARCH_x86)
#define FIRST_ARGUMENT(registers) ((registers)[14])
#define SECOND_ARGUMENT(registers) ((registers)[13])
#elif defined(__TARGET_ARCH_arm64)
#define FIRST_ARGUMENT(registers) ((registers)[0])
#define SECOND_ARGUMENT(registers) ((registers)[1])
#endif

static __always_inline u32 user_word(u64 address) {
  u32 word = 0;
  bpf_probe_read_user(&word, sizeof word, (void *)address);
  return word;
}

/** The number by which a thread knows itself, which locks have for their owner. */
static __always_inline u32 innermost_number(struct task_struct *task) {
  const u64 pid = GET_FAR(task, task_struct, thread_pid);
  return (u32)read_word(ADDRESS(pid, pid, numbers) + GET_FAR(pid, pid, level) * UPID_SIZE);
}

/** What this thread has, or null where its calls do not count. */
static __always_inline struct held_locks *enter_call(struct task_struct *task) {
  if (!lock_state.measuring || (filter.tids && !listed(filter.tid, filter.tids, number(task)))) {
    return NULL;
  }
  struct held_locks *has = make_held(task);
  if (!has) {
    deep_state.lost_threads++;
    return NULL;
  }
  if (++has->calls >= CALLS_AT_ONCE) {
    __sync_fetch_and_add(&deep_state.calls, has->calls);
    has->calls = 0;
  }
  return has;
}

/** The place of a lock among those that a thread has; HELD_MAX when it is none of them. */
static __always_inline u32 place_of(struct held_locks *has, u64 address) {
  has->place = HELD_MAX;
#pragma unroll
  for (u32 i = 0; i < HELD_MAX; i++) {
    if (has->lock[i].address == address) {
      has->place = i;
    }
  }
  barrier(); /* the value is read back */
  return has->place;
}

static __always_inline struct hold_value *hold_at(struct task_struct *task, u64 address, u32 sort) {
  struct hold_key key = {};
  key.lock.object = address;
  key.lock.space = group_number(task);
  key.lock.wait = WAIT_AT_FUTEX;
  key.lock.purpose = LOCK_FOR_LOCK;
  key.tid = number(task);
  key.sort = sort;
  struct hold_value *value = bpf_map_lookup_elem(&holds, &key);
  if (!value) {
    bpf_map_update_elem(&holds, &key, &no_hold, BPF_NOEXIST);
    value = bpf_map_lookup_elem(&holds, &key);
    if (!value) {
      __sync_fetch_and_add(&deep_state.lost_holds, 1);
      return NULL;
    }
    value->pid = key.lock.space;
    bpf_probe_read_kernel(value->comm, sizeof value->comm,
                          (void *)ADDRESS(task, task_struct, comm));
  }
  if (value->epoch != lock_state.epoch) {
    value->epoch = lock_state.epoch;
    value->taken = 0;
    value->total = 0;
    value->longest = 0;
    value->given = 0;
    value->signals = 0;
    __builtin_memset(value->histogram, 0, sizeof value->histogram);
  }
  return value;
}

static __always_inline void count_hold(struct task_struct *task, u64 address, u32 sort, u64 since,
                                       u64 now) {
  struct hold_value *value = hold_at(task, address, sort);
  if (!value) {
    return;
  }
  const u64 from = since > lock_state.epoch_begin ? since : lock_state.epoch_begin;
  const u64 length = now > from ? now - from : 0;
  value->taken++;
  value->total += length;
  if (length > value->longest) {
    value->longest = length;
  }
  const u32 bucket = bucket_of(length);
  if (bucket < LOCK_BUCKETS) {
    value->histogram[bucket]++;
  }
}

/**
 * Whether a thread really has a lock that it wanted before: the call may have failed, and it may
 * have been let go of where no probe is. A semaphore has no owner.
 */
static __always_inline bool owns(const struct held_lock *lock, u32 self) {
  if (lock->sort == HELD_MUTEX) {
    return user_word(lock->address + MUTEX_OWNER) == self;
  }
  if (lock->sort == HELD_RWLOCK) {
    return lock->mode & HELD_SHARED ? !(lock->mode & HELD_MAYBE)
                                    : user_word(lock->address + RWLOCK_WRITER) == self;
  }
  return false;
}

/** owned of has: the addresses of all that the thread really has; 0: none. */
static __always_inline void count_order(struct task_struct *task, const struct held_lock *from,
                                        const struct held_locks *has, u64 address, u32 sort,
                                        u32 mode) {
  struct order_key key = {};
  key.held = from->address;
  key.wanted = address;
  key.space = group_number(task);
  key.held_sort = from->sort;
  key.wanted_sort = sort;
  key.held_shared = from->mode & HELD_SHARED;
  key.wanted_shared = mode & HELD_SHARED;
  const u32 tid = number(task);
  struct order_value *order = bpf_map_lookup_elem(&orders, &key);
  if (!order) {
    struct order_value first = {};
#pragma unroll
    for (u32 i = 0; i < HELD_MAX; i++) {
      if (has->owned[i] && has->owned[i] != from->address) {
        first.guards[1] = first.guards[0];
        first.guards[0] = has->owned[i];
      }
    }
    first.pid = key.space;
    first.tid = tid;
    first.epoch = lock_state.epoch;
    bpf_probe_read_kernel(first.comm, sizeof first.comm, (void *)ADDRESS(task, task_struct, comm));
    bpf_map_update_elem(&orders, &key, &first, BPF_NOEXIST);
    order = bpf_map_lookup_elem(&orders, &key);
    if (!order) {
      __sync_fetch_and_add(&deep_state.lost_orders, 1);
      return;
    }
  }
  if (order->epoch != lock_state.epoch) {
    order->epoch = lock_state.epoch;
    order->count = 0; /* its threads and guards were seen all the same */
  }
  __sync_fetch_and_add(&order->count, 1);
  if (order->tid != tid) {
    order->several = 1;
  }
#pragma unroll
  for (u32 g = 0; g < ORDER_GUARDS; g++) {
    const u64 guard = order->guards[g];
    if (guard) {
      bool held_now = false;
#pragma unroll
      for (u32 i = 0; i < HELD_MAX; i++) {
        held_now |= has->owned[i] == guard;
      }
      if (!held_now) {
        order->guards[g] = 0;
      }
    }
  }
}

/** A thread that has locks is about to wait for a further one, if that is not free. */
static __always_inline void count_orders(struct task_struct *task, struct held_locks *has,
                                         u64 address, u32 sort, u32 mode) {
  u64 any = 0;
#pragma unroll
  for (u32 i = 0; i < HELD_MAX; i++) {
    any |= has->lock[i].address;
  }
  if (!any) {
    return;
  }
  const u32 self = innermost_number(task);
#pragma clang loop unroll(disable)
  for (u32 i = 0; i < HELD_MAX; i++) {
    const struct held_lock *lock = &has->lock[i & (HELD_MAX - 1)];
    has->owned[i & (HELD_MAX - 1)] = 0;
    if (lock->address && lock->address != address && owns(lock, self)) {
      has->owned[i & (HELD_MAX - 1)] = lock->address;
    }
  }
#pragma clang loop unroll(disable)
  for (u32 i = 0; i < HELD_MAX; i++) {
    if (has->owned[i & (HELD_MAX - 1)]) {
      count_order(task, &has->lock[i & (HELD_MAX - 1)], has, address, sort, mode);
    }
  }
}

/** A place for a further lock. What was never let go of, as semaphores, makes room first. */
static __always_inline u32 make_place(struct held_locks *has) {
  has->place = 0;
  u64 since = ~0ULL;
#pragma unroll
  for (u32 i = 0; i < HELD_MAX; i++) {
    const struct held_lock *lock = &has->lock[i];
    const u64 age = !lock->address                 ? 0
                    : lock->sort == HELD_SEMAPHORE ? lock->since >> 8
                                                   : lock->since;
    if (age < since) {
      since = age;
      has->place = i;
    }
  }
  barrier();
  const u32 oldest = has->place & (HELD_MAX - 1);
  const struct held_lock *lock = &has->lock[oldest];
  if (lock->address && lock->sort != HELD_SEMAPHORE) {
    __sync_fetch_and_add(&deep_state.lost_held, 1);
  }
  return oldest;
}

static __always_inline void put_lock(struct held_locks *has, u32 place, u64 address, u32 sort,
                                     u32 mode, u64 now) {
  struct held_lock *lock = &has->lock[place & (HELD_MAX - 1)];
  lock->address = address;
  lock->since = now;
  lock->depth = 0;
  lock->sort = sort;
  lock->mode = mode;
  has->wanted = 1 + (place & (HELD_MAX - 1));
}

/** Whether a thread that has this lock already only takes it once more. */
static __always_inline bool takes_again(struct task_struct *task, const struct held_lock *lock,
                                        u32 sort, u32 mode) {
  if (lock->sort != sort) {
    return false;
  }
  if (sort == HELD_MUTEX) {
    return (user_word(lock->address + MUTEX_KIND) & MUTEX_TYPE) == MUTEX_RECURSIVE &&
           user_word(lock->address + MUTEX_OWNER) == innermost_number(task);
  }
  return sort == HELD_RWLOCK && lock->mode == HELD_SHARED && mode == HELD_SHARED;
}

/** A thread calls a function that takes a lock. */
static __always_inline int want(u64 address, u32 sort, u32 mode) {
  struct task_struct *task = this_thread();
  struct held_locks *has = enter_call(task);
  if (!has || !address) {
    return 0;
  }
  has->wanted = 0; /* it came back from the last one */
  u32 place = place_of(has, address);
  if (place < HELD_MAX) {
    struct held_lock *lock = &has->lock[place & (HELD_MAX - 1)];
    if (takes_again(task, lock, sort, mode)) {
      lock->depth++;
      return 0;
    }
    if (sort == HELD_SEMAPHORE && lock->sort == sort && !(lock->mode & HELD_MAYBE)) {
      struct hold_value *value = hold_at(task, address, sort);
      if (value) {
        value->taken++; /* and given back by others */
      }
    }
  } else {
    place = make_place(has);
  }
  if (!(mode & HELD_MAYBE) && sort != HELD_SEMAPHORE) {
    count_orders(task, has, address, sort, mode);
  }
  put_lock(has, place, address, sort, mode, bpf_ktime_get_ns());
  return 0;
}

/** A thread calls a function that lets go of a lock. */
static __always_inline int let_go(u64 address, u32 sort) {
  struct task_struct *task = this_thread();
  struct held_locks *has = enter_call(task);
  if (!has || !address) {
    return 0;
  }
  const u64 now = bpf_ktime_get_ns();
  has->wanted = 0;
  const u32 place = place_of(has, address);
  if (place >= HELD_MAX) {
    struct hold_value *value = hold_at(task, address, sort);
    if (value) {
      value->given++;
    }
    return 0;
  }
  struct held_lock *lock = &has->lock[place & (HELD_MAX - 1)];
  if (lock->depth) {
    lock->depth--;
    return 0;
  }
  const u64 since = lock->since;
  lock->address = 0;
  count_hold(task, address, sort, since, now);
  return 0;
}

static __always_inline int give_signal(u64 address) {
  struct task_struct *task = this_thread();
  struct held_locks *has = enter_call(task);
  if (!has) {
    return 0;
  }
  has->wanted = 0;
  struct hold_value *value = hold_at(task, address, HELD_CONDITION);
  if (value) {
    value->signals++;
  }
  return 0;
}

/** What a function does with a lock. */
struct deep_call {
  u8 sort; /* held_sort */
  u8 mode; /* how it takes the lock */
  u8 lets_go;
  u8 takes; /* after it has let go of it */
};

#define DEEP_CALLS_MAX 16 /* a power of two, for a place that is masked */

static const struct deep_call deep_calls[DEEP_CALLS_MAX] = {
    [DEEP_MUTEX_LOCK] = {HELD_MUTEX, 0, 0, 1},
    [DEEP_MUTEX_TRY] = {HELD_MUTEX, HELD_MAYBE, 0, 1},
    [DEEP_MUTEX_UNLOCK] = {HELD_MUTEX, 0, 1, 0},
    [DEEP_READ_LOCK] = {HELD_RWLOCK, HELD_SHARED, 0, 1},
    [DEEP_READ_TRY] = {HELD_RWLOCK, HELD_SHARED | HELD_MAYBE, 0, 1},
    [DEEP_WRITE_LOCK] = {HELD_RWLOCK, 0, 0, 1},
    [DEEP_WRITE_TRY] = {HELD_RWLOCK, HELD_MAYBE, 0, 1},
    [DEEP_RWLOCK_UNLOCK] = {HELD_RWLOCK, 0, 1, 0},
    [DEEP_SEM_WAIT] = {HELD_SEMAPHORE, 0, 0, 1},
    [DEEP_SEM_TRY] = {HELD_SEMAPHORE, HELD_MAYBE, 0, 1},
    [DEEP_SEM_POST] = {HELD_SEMAPHORE, 0, 1, 0},
    [DEEP_COND_WAIT] = {HELD_MUTEX, HELD_AGAIN, 1, 1}, /* of its second argument */
    [DEEP_COND_SIGNAL] = {HELD_CONDITION, 0, 0, 0},
};

static __always_inline int on_sort(u64 *ctx, u32 sort) {
  const struct deep_call *call = &deep_calls[sort & (DEEP_CALLS_MAX - 1)];
  u64 first = FIRST_ARGUMENT(ctx);
  u64 second = SECOND_ARGUMENT(ctx);
  barrier_var(first); /* else one read of either, which the verifier refuses */
  barrier_var(second);
  const u64 address = call->mode & HELD_AGAIN ? second : first;
  if (call->sort == HELD_CONDITION) {
    return give_signal(address);
  }
  if (call->lets_go) {
    let_go(address, call->sort);
  }
  return call->takes ? want(address, call->sort, call->mode) : 0;
}

/** At all of the functions: each probe has its sort for a cookie. */
SEC("uprobe")
int on_call(u64 *ctx) { return on_sort(ctx, (u32)bpf_get_attach_cookie(ctx)); }

#ifndef DIRECT_READS
/* Before 5.15 probes have no cookies. One way or the other is loaded. */
#define ON_SORT(name, sort) \
  SEC("uprobe")             \
  int name(u64 *ctx) { return on_sort(ctx, sort); }
ON_SORT(on_mutex_lock, DEEP_MUTEX_LOCK)
ON_SORT(on_mutex_try, DEEP_MUTEX_TRY)
ON_SORT(on_mutex_unlock, DEEP_MUTEX_UNLOCK)
ON_SORT(on_read_lock, DEEP_READ_LOCK)
ON_SORT(on_read_try, DEEP_READ_TRY)
ON_SORT(on_write_lock, DEEP_WRITE_LOCK)
ON_SORT(on_write_try, DEEP_WRITE_TRY)
ON_SORT(on_rwlock_unlock, DEEP_RWLOCK_UNLOCK)
ON_SORT(on_sem_wait, DEEP_SEM_WAIT)
ON_SORT(on_sem_try, DEEP_SEM_TRY)
ON_SORT(on_sem_post, DEEP_SEM_POST)
ON_SORT(on_cond_wait, DEEP_COND_WAIT)
ON_SORT(on_cond_signal, DEEP_COND_SIGNAL)
#endif
