/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The skeletons of bpf/trace.bpf.c behind one small C interface, as collectors/bpf_programs.h. */
#pragma once

#include "bpf/trace.h"

struct kernel_layout;

#ifdef __cplusplus
extern "C" {
#endif

/** The loaded programs, none of them attached. */
struct trace_program {
  int self; /* descriptors of the programs */
  int processes;
  int enter;
  int exit;
  int signal_generate;
  int signal_deliver;
  int io_uring;
  int pids; /* of the maps */
  int slots;
  int sums;
  int rings[TRACE_RING_COUNT];
  struct trace_counters* counters; /* shared with the programs */
  void* skeleton;
  void (*destroy)(void* skeleton);
};

/** What the programs are told before they are loaded. */
struct trace_constants {
  const struct kernel_layout* layout;
  const struct trace_filter* filter;
  const struct trace_call* calls;        /* TRACE_CALLS of them */
  unsigned ring_bytes[TRACE_RING_COUNT]; /* powers of two, at least TRACE_RING_LEAST */
  unsigned pid_count;                    /* how many the map of pids is to hold, at least 1 */
};

/** light: by the kernel alone and with direct reads (6.2), else through libbpf. 0 or a negative
 * errno; then nothing is left loaded. */
int load_trace(struct trace_program* program, const struct trace_constants* constants, int light);

#ifdef __cplusplus
}
#endif
