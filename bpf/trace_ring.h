/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where events go, and what comes before them. Kernel side only. */
#ifndef IPCSCOPE_TRACE_RING_H
#define IPCSCOPE_TRACE_RING_H
#include "trace_task.h"

/* User space gives those that are asked for their size. */
#define DECLARE_RING(name)                 \
  struct {                                 \
    __uint(type, BPF_MAP_TYPE_RINGBUF);    \
    __uint(max_entries, TRACE_RING_LEAST); \
  } trace_ring_##name SEC(".maps");
TRACE_RINGS(DECLARE_RING)

/** The number of a mechanism's ring. */
static __always_inline u32 ring_number(u32 word) {
  u64 at = word;
  barrier_var(at); /* else what is checked is a copy of 32 bits */
  return at < TRACE_WORDS ? filter.rings[at] : 0;
}

/** The ring of a mechanism. What a caller does with it is verified for each that is in use. */
static __always_inline void *ring_of(u32 word) {
  const u32 ring = ring_number(word);
#define CHOOSE_RING(name)                                                          \
  if (filter.used_rings == 1U << TRACE_RING_##name ||                              \
      (filter.used_rings >> TRACE_RING_##name & 1 && ring == TRACE_RING_##name)) { \
    return &trace_ring_##name;                                                     \
  }
  TRACE_RINGS(CHOOSE_RING)
  return &trace_ring_event;
}

/** Room for a record in the ring of a mechanism. */
static __always_inline void *reserve(u32 word, u64 size) {
  return bpf_ringbuf_reserve(ring_of(word), size, 0);
}

static __always_inline void note_lost(u32 word) {
  if (word < TRACE_WORDS) {
    __sync_fetch_and_add(&counters.lost[word], 1);
  }
}

/** Says in the stream how many events of a mechanism are missing so far. */
__noinline int tell_lost(u32 word) {
  if (word >= TRACE_WORDS) {
    return 0;
  }
  struct trace_lost_record *record = reserve(word, sizeof *record);
  if (record) {
    __builtin_memset(record, 0, sizeof *record);
    record->kind = TRACE_LOST;
    record->word = (u16)(word + 1);
    record->lost = counters.told[word] = counters.lost[word];
    bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
  }
  return 0;
}

/** Sends the record of the current thread into the ring of a mechanism; 1: there was no room. */
__noinline int tell_thread(u64 pid_tgid, u32 word) {
  struct trace_slot *slot = slot_of(pid_tgid);
  if (!slot || word >= TRACE_WORDS) {
    return 1;
  }
  struct trace_thread_record *record = reserve(word, sizeof *record);
  if (!record) {
    return 1;
  }
  const u64 task = bpf_get_current_task();
  const u64 comm[2] = {number_at(task + OFFSET(task_struct, comm)),
                       number_at(task + OFFSET(task_struct, comm) + 8)};
  record->kind = TRACE_THREAD;
  record->reserved = 0;
  record->tid = (u32)pid_tgid;
  record->own_tid =
      counters.level ? own_number(GET_NUMBER(task, task_struct, thread_pid)) : (u32)pid_tgid;
  record->own_pid = own_pid(task, pid_tgid >> 32);
  __builtin_memcpy(record->comm, comm, sizeof comm);
  bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
  const u32 bit = 1U << (ring_number(word) & 31);
  const bool known =
      slot->announced == (u32)pid_tgid && slot->comm[0] == comm[0] && slot->comm[1] == comm[1];
  slot->rings = known ? slot->rings | bit : bit;
  slot->comm[0] = comm[0];
  slot->comm[1] = comm[1];
  slot->announced = (u32)pid_tgid;
  return 0;
}

/** Sees to it that the ring knows the thread by its present name. False: there was no room. */
static __always_inline bool announce_thread(struct trace_slot *slot, u64 task, u64 pid_tgid,
                                            u32 word) {
  const u32 bit = 1U << (ring_number(word) & 31);
  return (slot->announced == (u32)pid_tgid && slot->rings & bit &&
          slot->comm[0] == number_at(task + OFFSET(task_struct, comm)) &&
          slot->comm[1] == number_at(task + OFFSET(task_struct, comm) + 8)) ||
         tell_thread(pid_tgid, word) == 0;
}

#endif
