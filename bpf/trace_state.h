/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the programs of trace.bpf.c are told, and what they remember. Kernel side only. */
#ifndef IPCSCOPE_TRACE_STATE_H
#define IPCSCOPE_TRACE_STATE_H
#include "trace.h"

#include "kernel.h"

#define UPID_SIZE 16

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

static __always_inline u64 make_key(u64 kind, u64 number) {
  return (kind + 1) << 56 | (number & 0xffffffffffffffULL);
}

static __always_inline bool is_wanted_kind(u32 kind) { return filter.kinds >> (kind & 63) & 1; }

/*
 * The word at an address, as a number. For the verifier it is the number of an inode: with direct
 * reads, a pointer would have a type that allows no arithmetic.
 */
static __always_inline u64 read_word(u64 address) {
  return GET(address - OFFSET(inode, ino), inode, ino);
}

/* A member that is a pointer, as a number: what it points to is read through GET() again. */
#define GET_NUMBER(address, structure, member) read_word((u64)(address) + OFFSET(structure, member))

/** The number of a struct pid in ipcscope's own PID namespace, 0 when it has none there. */
static __always_inline u32 own_number(u64 pid) {
  if (!pid || GET(pid, pid, level) < counters.level) {
    return 0;
  }
  return (u32)read_word(pid + OFFSET(pid, numbers) + (u64)counters.level * UPID_SIZE);
}

static __always_inline struct trace_slot *slot_of(u64 pid_tgid) {
  const u32 index = (u32)pid_tgid & (TRACE_SLOTS - 1);
  return bpf_map_lookup_elem(&trace_slots, &index);
}

#endif
