/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "collectors/activity/activity_program.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <string.h>

#include "bpf/activity.h"
#include "bpf/layout.h"
#include "collectors/bpf_skeleton.h"

/* They need what is above. */
#include "activity.lskel.h"
#include "activity.skel.h"

struct activity_given {
  const struct kernel_layout* layout;
  const struct activity_call* calls;
};

#define PREPARE(kind)                                                      \
  do {                                                                     \
    SET_CONSTANT(layout, given->layout, sizeof *given->layout);            \
    SET_CONSTANT(calls, given->calls, TRACE_CALLS * sizeof *given->calls); \
  } while (0)

#define TAKE(kind)                                 \
  do {                                             \
    program->self = kind##_PROGRAM(activity_self); \
    program->exit = kind##_PROGRAM(activity_exit); \
    program->ring = kind##_PROGRAM(activity_ring); \
    program->pairs = kind##_MAP(activity_pairs);   \
    program->counters = &skeleton->bss->counters;  \
  } while (0)

DEFINE_LOADER(activity_light, LIGHT, struct activity_program, const struct activity_given, PREPARE,
              ATTACH_LATER, TAKE)
DEFINE_LOADER(activity_bpf, FULL, struct activity_program, const struct activity_given, PREPARE,
              ATTACH_LATER, TAKE)

int load_activity(struct activity_program* program, const struct kernel_layout* layout,
                  const struct activity_call* calls, int light) {
  const struct activity_given given = {layout, calls};
  prepare_bpf_loading();
  return light ? load_activity_light(program, &given) : load_activity_bpf(program, &given);
}
