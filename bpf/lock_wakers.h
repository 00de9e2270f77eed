/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who wakes a waiter. */
#ifndef IPCSCOPE_LOCK_WAKERS_H
#define IPCSCOPE_LOCK_WAKERS_H

#include "lock_counts.h"
#include "lock_place.h"
#include "user_registers.h"

/* Who makes room or writes is looked at for one wait in eight at the same file. */
#define SAMPLED_WAKES 7

/** Whether a thread in a call for futexes may be the one that wakes this waiter. */
static __always_inline bool wakes_futex(struct task_struct *self, u64 regs,
                                        struct call_registers *call, const struct lock_wait *wait) {
  if (lock_calls[call->number & (LOCK_CALLS - 1)].wait != WAIT_AT_FUTEX) {
    return true; /* futex_wake() and its relatives */
  }
  read_call(regs, call);
  switch (call->args[1] & FUTEX_COMMAND) {
    case FUTEX_WAIT:
    case FUTEX_WAIT_BITSET:
      return false;
    case FUTEX_WAKE:
    case FUTEX_WAKE_BITSET:
    case FUTEX_UNLOCK_PI:
      /* Another process may have shared memory at another address. */
      return call->args[0] == wait->address || group_number(self) != wait->group;
    default:
      return true;
  }
}

/** Whether a thread, by what it does, may be the one that wakes this waiter. */
static __always_inline bool may_wake(struct task_struct *self, const struct lock_wait *wait,
                                     bool exits) {
  if (exits) {
    /* Else more likely the time limit, while this one was on the CPU. */
    return !wait->limited || wait->holder == number(self);
  }
  struct call_registers call;
  const u64 regs = saved_registers(self);
  if (!read_number(regs, &call)) {
    return false;
  }
  const u32 wakes = lock_calls[call.number & (LOCK_CALLS - 1)].wake;
  /*
   * A time limit or a signal may come while some thread is in whatever call. Closing a file and
   * much else ends waits at files.
   */
  const u16 wanted = wait->key.wait;
  const bool exact =
      wanted == WAIT_AT_FUTEX || wanted == WAIT_AT_SEM || wanted == WAIT_AT_MSG || wait->limited;
  if (exact && wakes != wanted) {
    return false;
  }
  return wanted != WAIT_AT_FUTEX || wakes_futex(self, regs, &call, wait);
}

/** Takes down who woke a thread. */
static __always_inline void note_waker(struct task_struct *task, struct lock_wait *wait,
                                       struct task_struct *self, bool exits) {
  const u32 waker = number(self);
  if (waker != wait->waker) {
    if (wait->kept) {
      count_kept(wait); /* they were woken by the one before */
    }
    wait->waker = waker;
    wait->waker_pid = group_number(self);
    bpf_probe_read_kernel(wait->waker_comm, sizeof wait->waker_comm,
                          (void *)ADDRESS(self, task_struct, comm));
  }
  wait->waker_seen = 1;
  wait->waker_exits = exits;
}

static __always_inline void copy_stack(struct task_struct *self, const struct waker_key *key) {
  struct waker_copy *copy = bpf_ringbuf_reserve(&copies, sizeof *copy, 0);
  if (!copy) {
    return; /* another one stands for it */
  }
  copy->key = *key;
  const u64 regs = saved_registers(self);
  copy->instruction = copy_registers(regs, copy->registers);
  copy->stack = GET_FAR(regs, pt_regs, sp);
  copy->bytes = 0;
  copy->reserved = 0;
  /* Less where the stack ends before. */
#pragma unroll
  for (u32 bytes = COPY_MAX; bytes >= COPY_LEAST; bytes /= 2) {
    if (!copy->bytes && !bpf_probe_read_user(copy->copy, bytes, (void *)copy->stack)) {
      copy->bytes = bytes;
    }
  }
  bpf_ringbuf_submit(copy, BPF_RB_NO_WAKEUP);
}

/** By frame pointers; now and then with what unwinding without them needs. */
static __always_inline void count_stack(void *ctx, struct task_struct *self,
                                        const struct lock_wait *wait) {
  struct waker_key key = {};
  key.lock = wait->key;
  key.tid = wait->waker;
  key.pid = wait->waker_pid;
  key.stack = (s32)bpf_get_stackid(ctx, &stacks, BPF_F_USER_STACK);
  if (key.stack < 0) {
    return;
  }
  u64 *count = bpf_map_lookup_elem(&waker_stacks, &key);
  const u64 before = count ? *count : 0;
  if (count) {
    __sync_fetch_and_add(count, 1);
  } else {
    const u64 one = 1;
    bpf_map_update_elem(&waker_stacks, &key, &one, BPF_NOEXIST);
  }
  if (before < COPIED_WAKES && !(before & (before + 1))) {
    copy_stack(self, &key);
  }
}

#endif
