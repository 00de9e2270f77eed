/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A thread goes to sleep. */
#ifndef IPCSCOPE_LOCK_BEGIN_H
#define IPCSCOPE_LOCK_BEGIN_H

#include "lock_counts.h"
#include "lock_place.h"

/* What is between the two clocks changes as time is set; looked at every so many waits. */
#define CLOCK_LASTS 15

/**
 * Who may have the lock of a futex: what glibc 2.36 and musl keep at the word and behind it. User
 * space, which knows the primitive, takes it or leaves it.
 */
static __always_inline void find_holder(struct lock_wait *wait, u64 operation, const u32 *words) {
  const u32 command = operation & FUTEX_COMMAND;
  wait->holder = 0;
  wait->source = HOLDER_NONE;
  if (command == FUTEX_LOCK_PI || command == FUTEX_LOCK_PI2 ||
      (words[0] & FUTEX_WAITERS && words[0] & FUTEX_TID_MASK)) {
    wait->holder = words[0] & FUTEX_TID_MASK;
    wait->source = HOLDER_WORD;
  } else if (words[0] == 2 && words[2]) {
    wait->holder = words[2];
    wait->source = HOLDER_AT_8;
  } else if (command == FUTEX_WAIT_BITSET && words[0] >= 1 && words[0] <= 3) {
    if (words[3]) {
      wait->holder = words[3];
      wait->source = HOLDER_AT_12;
    } else if (words[4]) {
      wait->holder = words[4];
      wait->source = HOLDER_AT_16;
    }
  }
}

static __always_inline bool is_plain_wait(u64 operation) {
  const u32 command = operation & FUTEX_COMMAND;
  return command == FUTEX_WAIT || command == FUTEX_WAIT_BITSET;
}

/** Tells user space of a lock that was not there before. */
static __always_inline void send_news(struct task_struct *task, const struct lock_key *key,
                                      const struct call_registers *call, bool with_memory) {
  struct lock_news *news_of = bpf_ringbuf_reserve(&news, sizeof *news_of, 0);
  if (!news_of) {
    lock_state.lost_news++;
    return;
  }
  news_of->key = *key;
  for (int i = 0; i < 6; i++) {
    news_of->args[i] = call->args[i];
  }
  news_of->pid = group_number(task);
  news_of->tid = number(task);
  news_of->call = (u32)call->number;
  news_of->reserved = 0;
  news_of->lower = 0;
  news_of->upper = 0;
  __builtin_memset(news_of->memory, 0, sizeof news_of->memory);
  if (with_memory) {
    const u64 address = call->args[0];
    news_of->lower = !bpf_probe_read_user(news_of->memory, LOCK_MEMORY_BEFORE,
                                          (void *)(address - LOCK_MEMORY_BEFORE));
    news_of->upper = !bpf_probe_read_user(news_of->memory + LOCK_MEMORY_BEFORE, LOCK_MEMORY_AFTER,
                                          (void *)address);
  }
  bpf_ringbuf_submit(news_of, 0);
}

/**
 * The index of lock_turns that no lock has; TURNS_MAX: there is none. Before 5.12 no addition tells
 * the sum: who looks after it has claimed may see a second claim, but only one sees its own alone.
 */
static __always_inline u32 claim_turns(void) {
#pragma unroll
  for (u32 i = 0; i < 4; i++) {
    const u32 at = lock_state.turns;
    struct lock_turns *next = bpf_map_lookup_elem(&turns, &at);
    if (!next) {
      return TURNS_MAX;
    }
    lock_state.turns = at + 1;
    __sync_fetch_and_add(&next->claims, 1);
    if (*(volatile u64 *)&next->claims == 1) {
      return at;
    }
  }
  return TURNS_MAX;
}

/** The turns of the lock with the key that was found; made when it is not there yet. */
ONCE u32 find_turns(struct lock_start *start, u32 with_memory) {
  if (!start) {
    return TURNS_MAX;
  }
  struct task_struct *task = (struct task_struct *)VIEW(start->task, task_struct);
  const struct call_registers *call = &start->call;
  struct lock_key *key = &start->key;
  struct lock_value *sample = &start->lock;
  sample->address = key->object;
  if (key->wait == WAIT_AT_FUTEX) {
    const struct lock_key *alias = bpf_map_lookup_elem(&aliases, key);
    if (alias) {
      *key = *alias;
    }
  }
  const struct lock_value *lock = bpf_map_lookup_elem(&locks, key);
  if (lock) {
    return lock->turns;
  }
  sample->pid = group_number(task);
  sample->tid = number(task);
  sample->call = (u32)call->number;
  sample->operation = (u32)call->args[1];
  sample->expected = call->args[2];
  sample->epoch = lock_state.epoch;
  sample->turns = claim_turns();
  if (sample->turns >= TURNS_MAX) {
    return TURNS_MAX;
  }
  if (bpf_map_update_elem(&locks, key, sample, BPF_NOEXIST) == 0) {
    send_news(task, key, call, with_memory && key->wait == WAIT_AT_FUTEX);
  }
  lock = bpf_map_lookup_elem(&locks, key);
  return lock ? lock->turns : TURNS_MAX;
}

/**
 * A thread tries to take a lock: for the first time, or again.
 *
 * A wait goes on with an attempt when its thread slept nowhere else since it was woken, woke nobody
 * at the lock, and hardly ran: whoever had the lock for a moment ran for longer than it takes to
 * find it taken, or woke the next one.
 */
static __always_inline void begin_attempt(struct task_struct *task, struct lock_wait *wait,
                                          bool same, u64 now) {
  struct lock_turns *lock = bpf_map_lookup_elem(&turns, &wait->turns);
  if (!lock) {
    return;
  }
  const u64 run = GET_TRUSTED(task, task_struct, run_time);
  if (same && !wait->released && wait->attempt_begin && wait->woken &&
      GET_TRUSTED(task, task_struct, nvcsw) == wait->sleeps + 1 &&
      run - wait->run_before < lock_state.same_attempt) {
    wait->again = 1;
  } else {
    wait->again = 0;
    wait->attempt_begin = now;
    const u64 count = lock->count;
    wait->ended_before = (u32)(count / TURN_ENDED);
    wait->waiting_before = (u32)count;
    wait->overtakes = 0;
    wait->released = 0;
    wait->source = HOLDER_NONE;
    wait->holder = 0;
    wait->file = 0;
  }
  __sync_fetch_and_add(&lock->count, 1);
}

static __always_inline void note_holder(struct lock_wait *wait, const struct lock_call *what,
                                        const struct call_registers *call, bool asleep) {
  if (wait->key.wait == WAIT_AT_FUTEX) {
    u32 words[5] = {};
    /* Who waits for a word to be no longer 0 finds no owner in it: at a semaphore, for one. */
    const bool empty =
        what->wait == WAIT_AT_FUTEX && !(u32)call->args[2] && is_plain_wait(call->args[1]);
    if (!asleep && !empty) {
      bpf_probe_read_user(words, sizeof words, (void *)call->args[0]);
    }
    find_holder(wait, what->wait == WAIT_AT_FUTEX ? call->args[1] : FUTEX_WAIT, words);
  } else if (wait->key.wait == WAIT_AT_FLOCK || wait->key.wait == WAIT_AT_FCNTL) {
    wait->holder = wait->blocker;
    wait->source = wait->blocker ? HOLDER_FILE : HOLDER_NONE;
  }
}

/** How a thread stands when it goes to sleep. */
static __always_inline void note_start(struct task_struct *task, struct lock_wait *wait) {
  wait->waker_exits = 0;
  wait->run_at_begin = GET_TRUSTED(task, task_struct, run_time);
  wait->sleeps = GET_TRUSTED(task, task_struct, nvcsw);
}

/** Whether it is at the same word as the last time, and in the same call. */
static __always_inline bool is_same_futex(const struct lock_call *what,
                                          const struct call_registers *call,
                                          const struct lock_wait *wait, u32 group) {
  return what->wait == WAIT_AT_FUTEX && wait->key.wait == WAIT_AT_FUTEX &&
         wait->aliases == lock_state.aliases && wait->call == call->number &&
         wait->address == call->args[0] && wait->group == group &&
         wait->operation == (u32)call->args[1];
}

/** A thread goes to sleep somewhere else than the last time, or at a lock. now: 0 unknown. */
ONCE int begin_elsewhere(struct lock_start *start, struct lock_wait *wait, u64 now, u32 asleep) {
  if (!start) {
    return 0;
  }
  struct task_struct *task = (struct task_struct *)VIEW(start->task, task_struct);
  struct call_registers *call = &start->call;
  read_call(VIEW(start->regs, pt_regs), call);
  const struct lock_call *what = &lock_calls[call->number & (LOCK_CALLS - 1)];
  const u32 group = group_number(task);
  bool same = wait && is_same_futex(what, call, wait, group);
  if (!same) {
    const struct lock_key *key = &start->key;
    start->lock.file = 0;
    if (!find_key(start)) {
      return 0;
    }
    const u32 known = lock_state.aliases;
    const u32 its_turns = find_turns(start, !asleep);
    if (its_turns >= TURNS_MAX) {
      __sync_fetch_and_add(&lock_state.lost_waits, 1);
      return 0;
    }
    if (!wait) {
      wait = make_wait(task);
      if (!wait) {
        __sync_fetch_and_add(&lock_state.lost_threads, 1);
        return 0;
      }
    }
    same = wait->key.object == key->object && wait->key.space == key->space &&
           wait->key.wait == key->wait && wait->key.purpose == key->purpose;
    if (!same && wait->kept) {
      count_kept(wait);
    }
    wait->key = *key;
    wait->task = start->task;
    wait->turns = its_turns;
    wait->aliases = known;
    wait->call = (u32)call->number;
    wait->address = call->args[0];
    wait->operation = (u32)call->args[1];
    wait->group = group;
    wait->clock = 0;
    if (key->purpose != LOCK_FOR_LOCK) {
      wait->again = 0;
      wait->attempt_begin = 0;
      wait->source = HOLDER_NONE;
      wait->holder = 0;
      wait->file = what->wait == WAIT_AT_SPLICE ? 0 : start->lock.file;
      wait->by_data = what->wait == WAIT_AT_FILE && !(start->lock.mode & S_IFMT);
    }
  }
  if (asleep || !wait->clock || !(wait->sleeps & CLOCK_LASTS)) {
    if (!now) {
      now = bpf_ktime_get_ns();
    }
    const u64 clock = asleep ? 0 : scheduler_clock(task);
    wait->clock = clock ? now - clock : 0;
  }
  const u64 begin = asleep ? now : switch_time(task, wait, &now);
  if (wait->key.purpose == LOCK_FOR_LOCK) {
    begin_attempt(task, wait, same, begin);
  }
  wait->earlier = asleep;
  wait->limited = has_limit(what, call);
  wait->waker_seen = 0;
  wait->woken_at = 0;
  note_start(task, wait);
  note_holder(wait, what, call, asleep);
  wait->begin = begin;
  return 0;
}

/** A thread goes to sleep, or sleeps. asleep: not the one that runs this. */
static __always_inline void begin_wait(struct task_struct *task, struct lock_wait *wait, u64 *now,
                                       bool asleep) {
  struct call_registers call;
  const u64 regs = saved_registers(task);
  if (!read_number(regs, &call)) {
    return;
  }
  const struct lock_call *what = &lock_calls[call.number & (LOCK_CALLS - 1)];
  if (what->wait == WAIT_AT_NOTHING || !passes(task, group_number(task)) ||
      (asleep && wait && wait->begin /* it went to sleep a moment ago */)) {
    return;
  }
  if (!asleep && wait && wait->call == call.number &&
      is_same_file(task, what, first_argument(regs), wait)) {
    if (what->limit) {
      read_call(regs, &call);
      wait->limited = has_limit(what, &call);
      wait->waker_seen = wait->waker_seen && !wait->limited;
    }
    wait->earlier = 0;
    note_start(task, wait);
    wait->begin = switch_time(task, wait, now);
    return;
  }
  if (!wait && GET_TRUSTED(task, task_struct, flags) & PF_EXITING) {
    return; /* nothing ends it, and its registers are those of a call that is over */
  }
  const u32 place = asleep;
  struct lock_start *start = bpf_map_lookup_elem(&starts, &place);
  if (start) {
    start->task = (u64)task;
    start->regs = regs;
    start->call.number = call.number;
    begin_elsewhere(start, wait, *now, asleep);
  }
}

#endif
