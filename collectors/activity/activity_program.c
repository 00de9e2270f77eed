/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "collectors/activity/activity_program.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>

#include "bpf/activity.h"
#include "bpf/layout.h"
#include "collectors/bpf_skeleton.h"

/* They need what is above. */
#include "activity.lskel.h"
#include "activity.skel.h"

static void destroy_light(void* skeleton) { activity_light__destroy(skeleton); }
static void destroy_full(void* skeleton) { activity_bpf__destroy(skeleton); }

#define SET_CONSTANTS(skeleton, layout_, calls_)                                                   \
  do {                                                                                             \
    memcpy((void*)&(skeleton)->rodata->layout, layout_, sizeof(struct kernel_layout));             \
    memcpy((void*)&(skeleton)->rodata->calls, calls_, TRACE_CALLS * sizeof(struct activity_call)); \
  } while (0)

static int load_light(struct activity_program* program, const struct kernel_layout* layout,
                      const struct activity_call* calls) {
  struct activity_light* skeleton = LIGHT_OPEN(activity_light);
  if (skeleton == NULL) {
    return -errno;
  }
  SET_CONSTANTS(skeleton, layout, calls);
  const int error = activity_light__load(skeleton);
  if (error != 0) {
    activity_light__destroy(skeleton);
    return error;
  }
  program->self = skeleton->progs.activity_self.prog_fd;
  program->exit = skeleton->progs.activity_exit.prog_fd;
  program->ring = skeleton->progs.activity_ring.prog_fd;
  program->pairs = skeleton->maps.activity_pairs.map_fd;
  program->counters = &skeleton->bss->counters;
  program->skeleton = skeleton;
  program->destroy = destroy_light;
  return 0;
}

static int load_full(struct activity_program* program, const struct kernel_layout* layout,
                     const struct activity_call* calls) {
  struct activity_bpf* skeleton = FULL_OPEN(activity_bpf);
  if (skeleton == NULL) {
    return -errno;
  }
  SET_CONSTANTS(skeleton, layout, calls);
  const int error = activity_bpf__load(skeleton);
  if (error != 0) {
    activity_bpf__destroy(skeleton);
    return error;
  }
  program->self = bpf_program__fd(skeleton->progs.activity_self);
  program->exit = bpf_program__fd(skeleton->progs.activity_exit);
  program->ring = bpf_program__fd(skeleton->progs.activity_ring);
  program->pairs = bpf_map__fd(skeleton->maps.activity_pairs);
  program->counters = &skeleton->bss->counters;
  program->skeleton = skeleton;
  program->destroy = destroy_full;
  return 0;
}

int load_activity(struct activity_program* program, const struct kernel_layout* layout,
                  const struct activity_call* calls, int light) {
  prepare_bpf_loading();
  return light ? load_light(program, layout, calls) : load_full(program, layout, calls);
}
