/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How waits are counted, in the kernel: by lock, and by pair of a waiter and who it waits for.
 *
 * Counts are added atomically; a maximum is compared and stored, and may miss one of two waits that
 * end at the same time on two CPUs.
 */
#ifndef IPCSCOPE_LOCK_COUNTS_H
#define IPCSCOPE_LOCK_COUNTS_H

#include "lock_thread.h"

/* Longer waits are counted at once. */
#define SHORT_NS 1000000

/** An epoch that is over is forgotten when its entry is next used. */
static __always_inline void enter_epoch(struct lock_value *lock) {
  if (lock->epoch == lock_state.epoch) {
    return;
  }
  lock->epoch = lock_state.epoch;
  lock->waits = 0;
  lock->total = 0;
  lock->longest = 0;
  lock->woken_again = 0;
  __builtin_memset(lock->ends, 0, sizeof lock->ends);
  __builtin_memset(lock->histogram, 0, sizeof lock->histogram);
}

/** Four to each power of two. Without branches, for the verifier has to look at each way. */
__noinline u32 bucket_of(u64 ns) {
  u32 power = 0;
#pragma unroll
  for (u32 bits = 6; bits-- > 0;) {
    u64 above = 0 - (ns >> power >> (1 << bits)); /* negative, unless there is nothing */
    barrier_var(above);                           /* else it becomes a branch again */
    power += (u32)(above >> 63) << bits;
  }
  const u32 bucket = power * 4 + (u32)((ns << 2 >> power) & 3);
  return bucket < LOCK_BUCKETS ? bucket : LOCK_BUCKETS - 1;
}

/* As WaitEnd. */
enum { END_WOKEN, END_TIMED_OUT, END_INTERRUPTED, END_OWNER_DIED };

/** The entry of the pair that the kept waits belong to; NULL when there is no room. */
static __always_inline struct pair_value *find_pair(const struct lock_wait *wait) {
  const u64 task = wait->task;
  struct pair_key key = {};
  key.lock = wait->key;
  key.waiter = lock_state.own_level ? number_here(GET_FAR(task, task_struct, thread_pid))
                                    : GET_FAR(task, task_struct, pid);
  key.holder = wait->kept_holder;
  key.source = wait->kept_source;
  struct pair_value *pair = bpf_map_lookup_elem(&pairs, &key);
  if (!pair) {
    const u32 zero = 0;
    struct pair_value *none = bpf_map_lookup_elem(&fresh_pair, &zero);
    if (!none) {
      return NULL;
    }
    none->waiter_pid = far_group_number(task);
    none->epoch = lock_state.epoch;
    bpf_probe_read_kernel(none->waiter_comm, sizeof none->waiter_comm,
                          (void *)(task + OFFSET(task_struct, comm)));
    bpf_map_update_elem(&pairs, &key, none, BPF_NOEXIST);
    pair = bpf_map_lookup_elem(&pairs, &key);
    if (!pair) {
      return NULL;
    }
  }
  /* Only for the waiting thread itself is anything written here. */
  if (pair->epoch != lock_state.epoch) {
    pair->epoch = lock_state.epoch;
    pair->waits = 0;
    pair->total = 0;
    pair->longest = 0;
    pair->overtakes = 0;
    pair->overtakes_max = 0;
    pair->attempts = 0;
    pair->attempt_max = 0;
  }
  return pair;
}

/**
 * Counts the waits of a thread that were kept. Those of an epoch that is over are forgotten: they
 * were told with it.
 */
ONCE_STATIC int count_kept(struct lock_wait *wait) {
  if (!wait) {
    return 0;
  }
  const u32 kept = wait->kept;
  wait->kept = 0;
  if (wait->kept_epoch != lock_state.epoch) {
    return 0;
  }
  struct lock_value *lock = bpf_map_lookup_elem(&locks, &wait->key);
  if (!lock) {
    __sync_fetch_and_add(&lock_state.lost_waits, kept);
    return 0;
  }
  enter_epoch(lock);
  u64 total = 0;
  u64 longest = 0;
  for (u32 i = 0; i < KEPT_MAX && i < kept; i++) {
    const u64 length = wait->kept_ns[i];
    const u32 bucket = bucket_of(length);
    total += length;
    longest = length > longest ? length : longest;
    if (bucket < LOCK_BUCKETS) {
      __sync_fetch_and_add(&lock->histogram[bucket], 1);
    }
  }
  __sync_fetch_and_add(&lock->waits, kept);
  __sync_fetch_and_add(&lock->total, total);
  __sync_fetch_and_add(&lock->ends[wait->kept_end & (LOCK_ENDS - 1)], kept);
  if (wait->kept_again) {
    __sync_fetch_and_add(&lock->woken_again, wait->kept_again);
  }
  if (longest > lock->longest) {
    lock->longest = longest;
  }
  struct pair_value *pair = find_pair(wait);
  if (!pair) {
    __sync_fetch_and_add(&lock_state.lost_pairs, kept);
    return 0;
  }
  pair->waits += kept;
  pair->total += total;
  if (longest > pair->longest) {
    pair->longest = longest;
  }
  /* An attempt that goes on is counted at the pair where its first wait ended. */
  pair->attempts += kept - wait->kept_again;
  pair->overtakes += wait->kept_overtakes;
  if (wait->kept_overtakes_max > pair->overtakes_max) {
    pair->overtakes_max = wait->kept_overtakes_max;
  }
  const u64 attempt = wait->kept_attempt_max > longest ? wait->kept_attempt_max : longest;
  if (attempt > pair->attempt_max) {
    pair->attempt_max = attempt;
  }
  pair->waker = wait->kept_woken ? wait->waker : 0;
  pair->waker_pid = wait->waker_pid;
  __builtin_memcpy(pair->waker_comm, wait->waker_comm, sizeof pair->waker_comm);
  return 0;
}

/**
 * Keeps a wait that has ended. Often they are short and many, and resemble each other: each is
 * cheaper when several are counted at once. Whoever looks meanwhile finds them with their thread.
 *
 * attempt: how long it took, 0 where there is none. Less where more came between the two clocks
 * that are read at its begin than it took: no branch for that where it ends, it doubles what
 * verifiers of 5.10 and 6.1 have to look at, and they give up.
 */
static __always_inline void keep_wait(struct lock_wait *wait, u64 length, u32 end, s64 attempt,
                                      u64 overtakes) {
  const u32 woken = wait->waker_seen;
  u32 source = wait->source;
  u32 holder = wait->holder;
  if (source == HOLDER_NONE) {
    source = woken ? HOLDER_WAKER : HOLDER_NONE;
    holder = woken ? wait->waker : 0;
  }
  if (wait->kept &&
      (wait->kept_holder != holder || wait->kept_source != source || wait->kept_end != end ||
       wait->kept_woken != woken || wait->kept_epoch != lock_state.epoch)) {
    count_kept(wait);
  }
  u32 kept = wait->kept;
  if (!kept) {
    wait->kept_holder = holder;
    wait->kept_source = source;
    wait->kept_end = end;
    wait->kept_woken = woken;
    wait->kept_epoch = lock_state.epoch;
    wait->kept_again = 0;
    wait->kept_attempt_max = 0;
    wait->kept_overtakes = 0;
    wait->kept_overtakes_max = 0;
  }
  barrier_var(kept);
  if (kept < KEPT_MAX) {
    wait->kept_ns[kept] = length;
  }
  wait->kept = kept + 1;
  if (attempt) { /* at a lock */
    wait->kept_again += wait->again;
    if (attempt > (s64)wait->kept_attempt_max) {
      wait->kept_attempt_max = attempt;
    }
    wait->kept_overtakes += overtakes - wait->overtakes;
    if (overtakes > wait->kept_overtakes_max) {
      wait->kept_overtakes_max = overtakes;
    }
  }
  if (kept + 1 >= KEPT_MAX || length >= SHORT_NS || end != END_WOKEN) {
    count_kept(wait);
  }
}

#endif
