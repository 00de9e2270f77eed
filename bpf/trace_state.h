/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the programs of trace.bpf.c are told, and what they remember. Kernel side only. */
#ifndef IPCSCOPE_TRACE_STATE_H
#define IPCSCOPE_TRACE_STATE_H
#include "call.h"

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, TRACE_SLOTS);
  __uint(map_flags, BPF_F_MMAPABLE);
  __type(key, u32);
  __type(value, struct trace_slot);
} trace_slots SEC(".maps");

/* Constants, as layout is. */
struct trace_filter filter SEC(".rodata");
struct trace_call calls[TRACE_CALLS] SEC(".rodata");

struct trace_counters counters;

/**
 * What is done with a system call below TRACE_CALLS. Ask again behind a call of a function:
 * verifiers before 6.18 forget the bounds of what was set aside meanwhile.
 */
static __always_inline const struct trace_call *call_at(u64 number) {
  barrier_var(number); /* else the mask is left out, as it changes nothing */
  return &calls[number & (TRACE_CALLS - 1)];
}

static __always_inline bool is_wanted_kind(u32 kind) { return filter.kinds >> (kind & 63) & 1; }

/** The number of a struct pid in ipcscope's own PID namespace, 0 when it has none there. */
static __always_inline u32 own_number(u64 pid) { return pid_at(pid, counters.level); }

static __always_inline struct trace_slot *slot_of(u64 pid_tgid) {
  const u32 index = (u32)pid_tgid & (TRACE_SLOTS - 1);
  return bpf_map_lookup_elem(&trace_slots, &index);
}

#endif
