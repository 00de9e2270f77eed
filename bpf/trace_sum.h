/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Operations that are counted. Kernel side only. */
#ifndef IPCSCOPE_TRACE_SUM_H
#define IPCSCOPE_TRACE_SUM_H
#include "trace_ring.h"

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, TRACE_SUMS);
  __type(key, u32);
  __type(value, struct trace_sum);
} trace_sums SEC(".maps");

/* Which of the sums an operation and a kind have; 0: none yet. */
u16 sum_of[TRACE_SUM_KEYS];

/*
 * The number of the highest bit, without a branch: the verifier would follow each. With all bits
 * below it set, a value times this constant has another number in its highest six bits for each of
 * the 64 (a de Bruijn sequence).
 */
#define BIT_SEQUENCE 0x03f79d71b4cb0a89ULL
static const u8 highest_bit[64] = {0,  47, 1,  56, 48, 27, 2,  60, 57, 49, 41, 37, 28, 16, 3,  61,
                                   54, 58, 35, 52, 50, 42, 21, 44, 38, 32, 29, 23, 17, 11, 4,  62,
                                   46, 55, 26, 59, 40, 36, 15, 53, 34, 51, 20, 43, 31, 22, 10, 45,
                                   25, 39, 14, 33, 19, 30, 9,  24, 13, 18, 8,  12, 7,  6,  5,  63};

static __always_inline u32 magnitude(u64 value) {
  value |= value >> 1;
  value |= value >> 2;
  value |= value >> 4;
  value |= value >> 8;
  value |= value >> 16;
  value |= value >> 32;
  return highest_bit[(value * BIT_SEQUENCE) >> 58];
}

/**
 * Gives a key a sum. Two CPUs may do this at once, and give one to two keys (5.10 has no addition
 * that tells the sum): then the next operation, on a CPU where it is the other's, gives it another.
 * User space adds up what each CPU says of a key.
 */
static __always_inline u32 next_sum(u64 key) {
  const u32 at = (u32)++counters.sums;
  sum_of[key] = (u16)(at < TRACE_SUMS ? at : 0);
  return at;
}

/** index: of the call. bytes: that it moved. duration: ns, UNKNOWN_U64. */
static __always_inline int add_to_sum(u32 index, u32 kind, s64 result, u64 bytes, u64 duration) {
  u64 key = index << 6 | (kind & 63);
  barrier_var(key); /* up to 6.1 its bounds are forgotten, and clang would not compare */
  if (key >= TRACE_SUM_KEYS) {
    return 0;
  }
  u32 at = sum_of[key];
  struct trace_sum *sum = at ? bpf_map_lookup_elem(&trace_sums, &at) : NULL;
  if (!sum || sum->key != key) {
    if (!sum || sum->count) {
      at = next_sum(key);
      sum = bpf_map_lookup_elem(&trace_sums, &at);
    }
    if (!sum) {
      note_lost(kind);
      return 0;
    }
    sum->key = (u32)key;
  }
  sum->count++;
  sum->bytes += bytes;
  if (result < 0) {
    sum->errors++;
  }
  if (duration != UNKNOWN_U64) {
    sum->timed++;
    sum->total_ns += duration;
    if (duration > sum->max_ns) {
      sum->max_ns = duration;
    }
    u32 log = magnitude(duration);
    if (log >= TRACE_HISTOGRAM) {
      log = TRACE_HISTOGRAM - 1;
    }
    barrier_var(log);
    if (log < TRACE_HISTOGRAM) {
      sum->histogram[log]++;
    }
  }
  return 0;
}

#endif
