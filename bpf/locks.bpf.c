// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Waiting, measured where threads go to sleep and come back: a thread that is switched out in a
 * system call has its number and arguments in its saved registers. Nothing else on the host pays
 * for it.
 *
 * Two threads that hand a byte to and fro switch and wake 500,000 times a second, so what each of
 * these programs does is short: what a thread waited at is not found again when it waits there once
 * more, several waits are counted at a time, and clocks are read where the time matters.
 */
#include "lock_begin.h"
#include "lock_end.h"
#include "lock_wakers.h"

#define FILE_LOCK_DEFERRED 1

SEC("tp_btf/sched_switch")
int on_switch(u64 *ctx) {
  if (!lock_state.measuring) {
    return 0;
  }
  const bool preempted = ctx[0] & 1;
  struct task_struct *before = (struct task_struct *)ctx[1];
  struct task_struct *next = (struct task_struct *)ctx[2];
  u64 now = 0; /* read when it is needed */
  struct lock_wait *wait = find_wait(next);
  if (wait && wait->begin) {
    end_wait(next, wait, &now, 0);
  }
  wait = find_wait(before);
  if (wait && wait->begin) {
    /*
     * It was not seen to come back from its wait: a host may keep events from BPF that are raised
     * in the context of a process that it hides, such as a switch from that one. It came when it
     * began to use the CPU time that it has used since.
     */
    end_wait(before, wait, &now, GET_TRUSTED(before, task_struct, run_time) - wait->run_at_begin);
  }
  if (!preempted && state_of(before) && GET_TRUSTED(before, task_struct, mm)) {
    begin_wait(before, wait, &now, false);
  }
  return 0;
}

SEC("tp_btf/sched_waking")
int on_waking(u64 *ctx) {
  struct task_struct *task = (struct task_struct *)ctx[0];
  if (!lock_state.measuring) {
    return 0;
  }
  struct lock_wait *wait = find_wait(task);
  if (!wait || !wait->begin) {
    return 0;
  }
  if (!wait->attempt_begin && wait->waker_seen && wait->sleeps & SAMPLED_WAKES) {
    return 0; /* the waker of a little while ago stands for this one */
  }
  struct task_struct *self = this_thread();
  if (!GET_TRUSTED(self, task_struct, mm)) {
    return 0; /* an interrupt while the CPU idled, or the kernel itself */
  }
  const bool exits = GET_TRUSTED(self, task_struct, flags) & PF_EXITING;
  if (!may_wake(self, wait, exits)) {
    return 0;
  }
  note_waker(task, wait, self, exits);
  if (wait->attempt_begin) {
    if (wait->source != HOLDER_NONE) { /* how long it had the lock */
      wait->woken_at = bpf_ktime_get_ns();
    }
    struct lock_wait *own = find_wait(self);
    if (own && own->key.object == wait->key.object && own->key.space == wait->key.space) {
      own->released = 1;
    }
    if (filter.stacks) {
      count_stack(ctx, self, wait);
    }
  }
  return 0;
}

SEC("tp_btf/sched_process_exit")
int on_exit(u64 *ctx) {
  struct task_struct *task = (struct task_struct *)ctx[0];
  struct lock_wait *wait = find_wait(task);
  if (wait && wait->kept) {
    count_kept(wait);
  }
  drop_wait(task);
  return 0;
}

/** A thread is about to wait for a file lock: what is in its way. */
static __always_inline int note_blocker(u64 lock, s32 result) {
  if (!lock || !lock_state.measuring || result != FILE_LOCK_DEFERRED) {
    return 0;
  }
  struct task_struct *self = this_thread();
  if (!passes(self, group_number(self))) {
    return 0;
  }
  struct lock_wait *wait = find_wait(self);
  if (!wait) {
    wait = make_wait(self);
    if (!wait) {
      return 0;
    }
  }
  s32 pid = 0;
  if (HAS(file_lock, core)) { /* 6.9 */
    const u64 core = ADDRESS(lock, file_lock, core);
    pid = (s32)GET(GET(core, file_lock_core, blocker), file_lock_core, pid);
  } else {
    pid = (s32)GET(GET(lock, file_lock, blocker), file_lock, pid);
  }
  /* Locks know the number in the first PID namespace only. */
  wait->blocker = pid > 0 && !lock_state.own_level ? (u32)pid : 0;
  return 0;
}

SEC("tp_btf/posix_lock_inode")
int on_posix_lock(u64 *ctx) { return note_blocker(ctx[1], (s32)ctx[2]); }

SEC("tp_btf/flock_lock_inode")
int on_flock(u64 *ctx) { return note_blocker(ctx[1], (s32)ctx[2]); }

char LICENSE[] SEC("license") = "GPL";
