/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "collectors/locks/lock_program.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>

#include "bpf/layout.h"
#include "bpf/locks.h"
#include "locks.lskel.h"
#include "locks.skel.h"

static int quiet(enum libbpf_print_level level, const char* format, va_list arguments) {
  (void)level;
  (void)format;
  (void)arguments;
  return 0;
}

static void destroy_light(void* skeleton) { locks_light__destroy(skeleton); }
static void destroy_full(void* skeleton) { locks_bpf__destroy(skeleton); }

/* The constants have the same names in both skeletons. */
#define SET_CONSTANTS(skeleton)                                                        \
  do {                                                                                 \
    memcpy((void*)&(skeleton)->rodata->layout, layout, sizeof *layout);                \
    memcpy((void*)&(skeleton)->rodata->lock_calls, calls, LOCK_CALLS * sizeof *calls); \
    memcpy((void*)&(skeleton)->rodata->filter, filter, sizeof *filter);                \
  } while (0)

static int load_light(struct lock_program* program, const struct kernel_layout* layout,
                      const struct lock_call* calls, const struct lock_filter* filter) {
  struct locks_light* skeleton = locks_light__open();
  if (skeleton == NULL) {
    return -errno;
  }
  SET_CONSTANTS(skeleton);
  int error = locks_light__load(skeleton);
  if (error == 0) {
    error = locks_light__attach(skeleton);
  }
  if (error != 0) {
    locks_light__destroy(skeleton);
    return error;
  }
  program->state = (struct lock_state*)&skeleton->bss->lock_state;
  program->news = skeleton->maps.news.map_fd;
  program->locks = skeleton->maps.locks.map_fd;
  program->pairs = skeleton->maps.pairs.map_fd;
  program->aliases = skeleton->maps.aliases.map_fd;
  program->stacks = skeleton->maps.stacks.map_fd;
  program->waker_stacks = skeleton->maps.waker_stacks.map_fd;
  program->seed_link = skeleton->links.seed_waits_fd;
  program->pending_link = skeleton->links.pending_waits_fd;
  program->queues_link = skeleton->links.look_at_queues_fd;
  program->queues = (struct queue_look*)skeleton->bss->queue_looks;
  program->skeleton = skeleton;
  program->destroy = destroy_light;
  return 0;
}

static int load_full(struct lock_program* program, const struct kernel_layout* layout,
                     const struct lock_call* calls, const struct lock_filter* filter) {
  libbpf_set_print(quiet);
  struct locks_bpf* skeleton = locks_bpf__open();
  if (skeleton == NULL) {
    return -errno;
  }
  SET_CONSTANTS(skeleton);
  int error = locks_bpf__load(skeleton);
  if (error == 0) {
    error = locks_bpf__attach(skeleton);
  }
  if (error != 0) {
    locks_bpf__destroy(skeleton);
    return error;
  }
  program->state = (struct lock_state*)&skeleton->bss->lock_state;
  program->news = bpf_map__fd(skeleton->maps.news);
  program->locks = bpf_map__fd(skeleton->maps.locks);
  program->pairs = bpf_map__fd(skeleton->maps.pairs);
  program->aliases = bpf_map__fd(skeleton->maps.aliases);
  program->stacks = bpf_map__fd(skeleton->maps.stacks);
  program->waker_stacks = bpf_map__fd(skeleton->maps.waker_stacks);
  program->seed_link = bpf_link__fd(skeleton->links.seed_waits);
  program->pending_link = bpf_link__fd(skeleton->links.pending_waits);
  program->queues_link = bpf_link__fd(skeleton->links.look_at_queues);
  program->queues = (struct queue_look*)skeleton->bss->queue_looks;
  program->skeleton = skeleton;
  program->destroy = destroy_full;
  return 0;
}

int load_locks(struct lock_program* program, const struct kernel_layout* layout,
               const struct lock_call* calls, const struct lock_filter* filter, int light) {
  return light ? load_light(program, layout, calls, filter)
               : load_full(program, layout, calls, filter);
}
