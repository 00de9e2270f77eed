/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "collectors/trace/trace_program.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <string.h>

#include "bpf/layout.h"
#include "collectors/bpf_skeleton.h"
#include "trace.lskel.h"
#include "trace.skel.h"

#define RESIZE_RING(kind, name) \
  kind##_RESIZE(trace_ring_##name, given->ring_bytes[TRACE_RING_##name]);
#define RESIZE_LIGHT_RING(name) RESIZE_RING(LIGHT, name)
#define RESIZE_FULL_RING(name) RESIZE_RING(FULL, name)

#define PREPARE(kind)                                                      \
  do {                                                                     \
    SET_CONSTANT(layout, given->layout, sizeof *given->layout);            \
    SET_CONSTANT(filter, given->filter, sizeof *given->filter);            \
    SET_CONSTANT(calls, given->calls, TRACE_CALLS * sizeof *given->calls); \
    kind##_RESIZE(trace_pids, given->pid_count);                           \
    TRACE_RINGS(RESIZE_##kind##_RING)                                      \
  } while (0)

#define TAKE_LIGHT_RING(name) program->rings[TRACE_RING_##name] = LIGHT_MAP(trace_ring_##name);
#define TAKE_FULL_RING(name) program->rings[TRACE_RING_##name] = FULL_MAP(trace_ring_##name);

#define TAKE(kind)                                                    \
  do {                                                                \
    program->self = kind##_PROGRAM(trace_self);                       \
    program->processes = kind##_PROGRAM(trace_processes);             \
    program->enter = kind##_PROGRAM(trace_enter);                     \
    program->exit = kind##_PROGRAM(trace_exit);                       \
    program->signal_generate = kind##_PROGRAM(trace_signal_generate); \
    program->signal_deliver = kind##_PROGRAM(trace_signal_deliver);   \
    program->io_uring = kind##_PROGRAM(trace_io_uring);               \
    program->pids = kind##_MAP(trace_pids);                           \
    program->slots = kind##_MAP(trace_slots);                         \
    program->sums = kind##_MAP(trace_sums);                           \
    program->counters = &skeleton->bss->counters;                     \
    TRACE_RINGS(TAKE_##kind##_RING)                                   \
  } while (0)

DEFINE_LOADER(trace_light, LIGHT, struct trace_program, const struct trace_constants, PREPARE,
              ATTACH_LATER, TAKE)
DEFINE_LOADER(trace_bpf, FULL, struct trace_program, const struct trace_constants, PREPARE,
              ATTACH_LATER, TAKE)

int load_trace(struct trace_program* program, const struct trace_constants* constants, int light) {
  prepare_bpf_loading();
  return light ? load_trace_light(program, constants) : load_trace_bpf(program, constants);
}
