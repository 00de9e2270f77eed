/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the programs of locks share: their maps, and what is kept of each thread. */
#ifndef IPCSCOPE_LOCK_STATE_H
#define IPCSCOPE_LOCK_STATE_H

#include "kernel.h"
#include "locks.h"

/*
 * A function that the verifier checks once, on its own, and not on each way that leads to it: where
 * a global function may be given a pointer. It gets threads as numbers. Old verifiers are given
 * what they were measured to get through: all in one, or a function of its own.
 */
#ifdef DIRECT_READS
#define ONCE __noinline
#define ONCE_STATIC __noinline
#else
#define ONCE static __always_inline
#define ONCE_STATIC static __noinline
#endif

#undef number_of
#define number_of(pointer) ((u64)(pointer))

#define LOCKS_MAX 16384
#define PAIRS_MAX 65536

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, LOCKS_MAX);
  __type(key, struct lock_key);
  __type(value, struct lock_value);
  __uint(map_flags, BPF_F_NO_PREALLOC);
} locks SEC(".maps");

/** Found by the index alone: a thread that waits where it did before looks for no lock. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, TURNS_MAX);
  __type(key, u32);
  __type(value, struct lock_turns);
} turns SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, PAIRS_MAX);
  __type(key, struct pair_key);
  __type(value, struct pair_value);
  __uint(map_flags, BPF_F_NO_PREALLOC);
} pairs SEC(".maps");

/** Of shared futexes: which lock the word at this address of this process is. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, LOCKS_MAX);
  __type(key, struct lock_key);
  __type(value, struct lock_key);
  __uint(map_flags, BPF_F_NO_PREALLOC);
} aliases SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 1 << 20);
} news SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_STACK_TRACE);
  __uint(max_entries, 1024);
  __uint(key_size, sizeof(u32));
  __uint(value_size, LOCK_FRAMES * sizeof(u64));
} stacks SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 4096);
  __type(key, struct waker_key);
  __type(value, u64);
  __uint(map_flags, BPF_F_NO_PREALLOC);
} waker_stacks SEC(".maps");

/** Of waker_copy; user space takes them when it looks at stacks. */
struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 1 << 18);
} copies SEC(".maps");

#define CALL_ARGUMENTS 8 /* a power of two, for a place that is masked */

struct call_registers {
  u64 number;
  u64 args[CALL_ARGUMENTS]; /* the first six */
};

/* A thread that goes to sleep, and what it is found to wait at. */
struct lock_start {
  u64 task;
  u64 regs; /* of the user, saved */
  struct call_registers call;
  struct lock_key key;
  struct lock_value lock; /* as it is to be made */
};

/* Too large for the stack. The second of a CPU is for a look at threads, which may be preempted. */
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 2);
  __type(key, u32);
  __type(value, struct lock_start);
} starts SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, u32);
  __type(value, struct pair_value);
} fresh_pair SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 65536);
  __type(key, u32);
  __type(value, struct lock_wait);
  __uint(map_flags, BPF_F_NO_PREALLOC);
} waits SEC(".maps");

struct lock_wait no_wait SEC(".rodata");
struct lock_call lock_calls[LOCK_CALLS] SEC(".rodata");
struct lock_filter filter SEC(".rodata");
struct lock_state lock_state;

static __always_inline struct lock_wait *find_far_wait(u32 tid) {
  return bpf_map_lookup_elem(&waits, &tid);
}

static __always_inline struct lock_wait *make_far_wait(u32 tid) {
  bpf_map_update_elem(&waits, &tid, &no_wait, BPF_NOEXIST);
  return bpf_map_lookup_elem(&waits, &tid);
}

#ifdef DIRECT_READS
/*
 * Most threads have their entry here, at a place that their number tells: a fifth of what task
 * storage costs, and it is looked at for both threads of each switch. Threads whose place another
 * one has are among the waits.
 */
#define NEAR_WAITS 16384

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, NEAR_WAITS);
  __type(key, u32);
  __type(value, struct lock_wait);
} near_waits SEC(".maps");

static __always_inline struct lock_wait *find_wait(struct task_struct *task) {
  const u32 tid = GET_TRUSTED(task, task_struct, pid);
  const u32 place = tid & (NEAR_WAITS - 1);
  struct lock_wait *wait = bpf_map_lookup_elem(&near_waits, &place);
  if (!wait || wait->tid == tid) {
    return wait;
  }
  return wait->shared ? find_far_wait(tid) : NULL;
}

/** Of a thread that has none. */
static __always_inline struct lock_wait *make_wait(struct task_struct *task) {
  const u32 tid = GET_TRUSTED(task, task_struct, pid);
  const u32 place = tid & (NEAR_WAITS - 1);
  struct lock_wait *wait = bpf_map_lookup_elem(&near_waits, &place);
  if (!wait) {
    return NULL;
  }
  if (!wait->tid && __sync_val_compare_and_swap(&wait->tid, 0, tid) == 0) {
    return wait;
  }
  wait->shared = 1;
  return make_far_wait(tid);
}

static __always_inline void drop_wait(struct task_struct *task) {
  const u32 tid = GET_TRUSTED(task, task_struct, pid);
  const u32 place = tid & (NEAR_WAITS - 1);
  struct lock_wait *wait = bpf_map_lookup_elem(&near_waits, &place);
  if (wait && wait->tid == tid) {
    const u8 shared = wait->shared;
    *wait = no_wait;
    wait->shared = shared;
  } else if (wait && wait->shared) {
    bpf_map_delete_elem(&waits, &tid);
  }
}
#else
static __always_inline struct lock_wait *find_wait(struct task_struct *task) {
  return find_far_wait(GET(task, task_struct, pid));
}
static __always_inline struct lock_wait *make_wait(struct task_struct *task) {
  return make_far_wait(GET(task, task_struct, pid));
}
static __always_inline void drop_wait(struct task_struct *task) {
  const u32 tid = GET(task, task_struct, pid);
  bpf_map_delete_elem(&waits, &tid);
}
#endif

#endif
