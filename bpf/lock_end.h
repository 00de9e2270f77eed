/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A thread comes back from its wait. */
#ifndef IPCSCOPE_LOCK_END_H
#define IPCSCOPE_LOCK_END_H

#include "lock_counts.h"
#include "lock_place.h"

static __always_inline u32 end_of(struct task_struct *task, const struct lock_wait *wait) {
  if (!wait->attempt_begin && has_signal(task)) {
    return END_INTERRUPTED; /* the waker may be that of an earlier wait */
  }
  if (wait->waker_seen) {
    return wait->waker_exits && wait->source >= HOLDER_WORD && wait->source <= HOLDER_AT_16
               ? END_OWNER_DIED
               : END_WOKEN;
  }
  if (has_signal(task)) {
    return END_INTERRUPTED;
  }
  return wait->limited ? END_TIMED_OUT : END_WOKEN;
}

static __always_inline void note_hold(struct lock_turns *lock, u64 hold) {
  if (lock->epoch != lock_state.epoch) {
    lock->epoch = lock_state.epoch;
    lock->hold = 0;
  }
  if (hold > lock->hold) {
    lock->hold = hold;
  }
}

/** The order in which a lock is taken, and for how long it is held. */
static __always_inline void end_attempt(struct task_struct *task, struct lock_wait *wait, u64 from,
                                        u64 now, u64 length, u32 end) {
  struct lock_turns *lock = bpf_map_lookup_elem(&turns, &wait->turns);
  if (!lock) {
    return;
  }
  const u32 passed = (u32)(lock->count / TURN_ENDED) - wait->ended_before;
  const u32 overtakes = passed > wait->waiting_before ? passed - wait->waiting_before : 0;
  __sync_fetch_and_add(&lock->count, TURN_ENDED - 1);
  wait->woken = end == END_WOKEN;
  if (length >= filter.min_wait) {
    if (wait->waker_seen && wait->waker == wait->holder) {
      const u64 taken = lock->last_wake > from ? lock->last_wake : from;
      note_hold(lock, wait->woken_at > taken ? wait->woken_at - taken : 0);
    }
    keep_wait(wait, length, end, (s64)(now - wait->attempt_begin), overtakes);
  }
  if (wait->woken_at > lock->last_wake) {
    lock->last_wake = wait->woken_at;
  }
  wait->overtakes = overtakes;
  wait->run_before = GET_TRUSTED(task, task_struct, run_time);
}

/** The wait of a thread ends at a time. */
ONCE int end_wait_at(struct lock_wait *wait, u64 time) {
  if (!wait) {
    return 0;
  }
  struct task_struct *task = (struct task_struct *)VIEW(wait->task, task_struct);
  const u64 from = wait->begin > lock_state.epoch_begin ? wait->begin : lock_state.epoch_begin;
  const u64 length = time > from ? time - from : 0;
  wait->begin = 0;
  const u32 end = end_of(task, wait);
  if (wait->attempt_begin) {
    end_attempt(task, wait, from, time, length, end);
  } else if (length >= filter.min_wait) {
    keep_wait(wait, length, end, 0, 0);
  }
  return 0;
}

/** A thread is switched back in, or was unseen_ns ago; task is one of the two of the switch. */
static __always_inline void end_wait(struct task_struct *task, struct lock_wait *wait, u64 *now,
                                     u64 unseen_ns) {
  const u64 time = switch_time(task, wait, now) - unseen_ns;
#ifdef HELD_LOCKS
  if (wait->key.wait == WAIT_AT_FUTEX) {
    note_wait_end(task, wait->address, time);
  }
#endif
  end_wait_at(wait, time);
}

#endif
