/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "collectors/trace/trace_program.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>

#include "bpf/layout.h"
#include "bpf/trace.h"
#include "trace.lskel.h"
#include "trace.skel.h"

static int quiet(enum libbpf_print_level level, const char* format, va_list arguments) {
  (void)level;
  (void)format;
  (void)arguments;
  return 0;
}

static void destroy_light(void* skeleton) { trace_light__destroy(skeleton); }
static void destroy_full(void* skeleton) { trace_bpf__destroy(skeleton); }

#define SET_CONSTANTS(skeleton, constants)                                                         \
  do {                                                                                             \
    memcpy((void*)&(skeleton)->rodata->layout, (constants)->layout, sizeof(struct kernel_layout)); \
    memcpy((void*)&(skeleton)->rodata->filter, (constants)->filter, sizeof(struct trace_filter));  \
    memcpy((void*)&(skeleton)->rodata->calls, (constants)->calls,                                  \
           TRACE_CALLS * sizeof(struct trace_call));                                               \
  } while (0)

static int load_light(struct trace_program* program, const struct trace_constants* constants) {
  struct trace_light* skeleton = trace_light__open();
  if (skeleton == NULL) {
    return -errno;
  }
  SET_CONSTANTS(skeleton, constants);
  skeleton->maps.trace_records.max_entries = constants->ring_bytes;
  const int error = trace_light__load(skeleton);
  if (error != 0) {
    trace_light__destroy(skeleton);
    return error;
  }
  program->self = skeleton->progs.trace_self.prog_fd;
  program->enter = skeleton->progs.trace_enter.prog_fd;
  program->exit = skeleton->progs.trace_exit.prog_fd;
  program->signal_generate = skeleton->progs.trace_signal_generate.prog_fd;
  program->signal_deliver = skeleton->progs.trace_signal_deliver.prog_fd;
  program->io_uring = skeleton->progs.trace_io_uring.prog_fd;
  program->records = skeleton->maps.trace_records.map_fd;
  program->slots = skeleton->maps.trace_slots.map_fd;
  program->sums = skeleton->maps.trace_sums.map_fd;
  program->counters = &skeleton->bss->counters;
  program->skeleton = skeleton;
  program->destroy = destroy_light;
  return 0;
}

static int load_full(struct trace_program* program, const struct trace_constants* constants) {
  libbpf_set_print(quiet);
  struct trace_bpf* skeleton = trace_bpf__open();
  if (skeleton == NULL) {
    return -errno;
  }
  SET_CONSTANTS(skeleton, constants);
  int error = bpf_map__set_max_entries(skeleton->maps.trace_records, constants->ring_bytes);
  if (error == 0) {
    error = trace_bpf__load(skeleton);
  }
  if (error != 0) {
    trace_bpf__destroy(skeleton);
    return error;
  }
  program->self = bpf_program__fd(skeleton->progs.trace_self);
  program->enter = bpf_program__fd(skeleton->progs.trace_enter);
  program->exit = bpf_program__fd(skeleton->progs.trace_exit);
  program->signal_generate = bpf_program__fd(skeleton->progs.trace_signal_generate);
  program->signal_deliver = bpf_program__fd(skeleton->progs.trace_signal_deliver);
  program->io_uring = bpf_program__fd(skeleton->progs.trace_io_uring);
  program->records = bpf_map__fd(skeleton->maps.trace_records);
  program->slots = bpf_map__fd(skeleton->maps.trace_slots);
  program->sums = bpf_map__fd(skeleton->maps.trace_sums);
  program->counters = &skeleton->bss->counters;
  program->skeleton = skeleton;
  program->destroy = destroy_full;
  return 0;
}

int load_trace(struct trace_program* program, const struct trace_constants* constants, int light) {
  return light ? load_light(program, constants) : load_full(program, constants);
}
