// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What each thread holds, for deep.bpf.c. Before locks.bpf.c in its object, which notes when a wait
 * for a lock has ended: only then it is taken.
 */
#define HELD_LOCKS

#include "held.h"

#include "kernel.h"

#ifdef DIRECT_READS
struct {
  __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct held_locks);
} held SEC(".maps");

static __always_inline struct held_locks *find_held(struct task_struct *task) {
  return bpf_task_storage_get(&held, task, NULL, 0);
}
static __always_inline struct held_locks *make_held(struct task_struct *task) {
  return bpf_task_storage_get(&held, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
}
#else
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 32768);
  __type(key, u32);
  __type(value, struct held_locks);
} held SEC(".maps");

struct held_locks nothing_held SEC(".rodata");

static __always_inline struct held_locks *find_held(struct task_struct *task) {
  const u32 tid = GET(task, task_struct, pid);
  return bpf_map_lookup_elem(&held, &tid);
}
static __always_inline struct held_locks *make_held(struct task_struct *task) {
  struct held_locks *found = find_held(task);
  if (found) {
    return found;
  }
  const u32 tid = GET(task, task_struct, pid);
  bpf_map_update_elem(&held, &tid, &nothing_held, BPF_NOEXIST);
  return bpf_map_lookup_elem(&held, &tid);
}
#endif

/* The words of a lock at which its threads wait are within it. */
#define LOCK_BYTES 56

/** A thread comes back from a wait at a futex. */
static __always_inline void note_wait_end(struct task_struct *task, u64 address, u64 now) {
  struct held_locks *has = find_held(task);
  if (!has || !has->wanted) {
    return;
  }
  struct held_lock *lock = &has->lock[(has->wanted - 1) & (HELD_MAX - 1)];
  if (lock->mode & HELD_AGAIN || address - lock->address < LOCK_BYTES) {
    lock->since = now;
  }
}
