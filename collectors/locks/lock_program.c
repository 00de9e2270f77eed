/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "collectors/locks/lock_program.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/held.h"
#include "bpf/layout.h"
#include "bpf/locks.h"
#include "collectors/bpf_skeleton.h"
#include "collectors/locks/uprobe_multi.h"
#include "deep.skel.h"
#include "locks.lskel.h"
#include "locks.skel.h"

static int load_for_one_link(struct bpf_load_and_run_opts* given);
#define bpf_load_and_run load_for_one_link
#include "deep.lskel.h"
#undef bpf_load_and_run

/** How the probes of a skeleton are to be attached. */
#define WAY(skeleton) ((skeleton)->rodata->filter.deep)

/**
 * Loads the light skeleton with probes. libbpf writes down for the kernel how each of its programs
 * is loaded; that one is for a link of many probes, versions before 1.3 cannot.
 */
static int load_for_one_link(struct bpf_load_and_run_opts* given) {
  static const char name[BPF_OBJ_NAME_LEN] = "on_call";
  struct deep_light* skeleton = (struct deep_light*)given->ctx; /* which its loader gives */
  if (WAY(skeleton) != DEEP_ALL_TOGETHER) {
    return bpf_load_and_run(given);
  }
  WAY(skeleton) = DEEP_ONE_BY_ONE; /* unless it is found */
  char* data = malloc(given->data_sz);
  if (data == NULL) {
    return -ENOMEM;
  }
  memcpy(data, given->data, given->data_sz);
  const size_t size = offsetof(union bpf_attr, expected_attach_type) + sizeof(__u32);
  for (size_t at = 0; at + size <= given->data_sz; at += sizeof(__u64)) {
    union bpf_attr attributes;
    memcpy(&attributes, data + at, size);
    if (attributes.prog_type == BPF_PROG_TYPE_KPROBE && attributes.expected_attach_type == 0 &&
        memcmp(attributes.prog_name, name, sizeof name) == 0) {
      attributes.expected_attach_type = UPROBE_MULTI_ATTACH_TYPE;
      memcpy(data + at, &attributes, size);
      WAY(skeleton) = DEEP_ALL_TOGETHER;
    }
  }
  struct bpf_load_and_run_opts changed = *given;
  changed.data = data;
  const int error = bpf_load_and_run(&changed);
  free(data);
  return error;
}

/* The constants have the same names in all skeletons. */
#define SET_CONSTANTS(skeleton)                                                        \
  do {                                                                                 \
    memcpy((void*)&(skeleton)->rodata->layout, layout, sizeof *layout);                \
    memcpy((void*)&(skeleton)->rodata->lock_calls, calls, LOCK_CALLS * sizeof *calls); \
    memcpy((void*)&(skeleton)->rodata->filter, filter, sizeof *filter);                \
  } while (0)

#define TAKE_DESCRIPTORS(MAP, LINK)                                   \
  do {                                                                \
    program->state = (struct lock_state*)&skeleton->bss->lock_state;  \
    program->queues = (struct queue_look*)skeleton->bss->queue_looks; \
    program->news = MAP(news);                                        \
    program->locks = MAP(locks);                                      \
    program->pairs = MAP(pairs);                                      \
    program->aliases = MAP(aliases);                                  \
    program->turns = MAP(turns);                                      \
    program->stacks = MAP(stacks);                                    \
    program->waker_stacks = MAP(waker_stacks);                        \
    program->copies = MAP(copies);                                    \
    program->seed_link = LINK(seed_waits);                            \
    program->pending_link = LINK(pending_waits);                      \
    program->queues_link = LINK(look_at_queues);                      \
    program->skeleton = skeleton;                                     \
  } while (0)

#define TAKE_DEEP_DESCRIPTORS(MAP)                                \
  do {                                                            \
    struct deep_program* deep = &program->deep;                   \
    deep->state = (struct deep_state*)&skeleton->bss->deep_state; \
    deep->holds = MAP(holds);                                     \
    deep->orders = MAP(orders);                                   \
    deep->way = WAY(skeleton);                                    \
    deep->by_cookie = -1;                                         \
  } while (0)

#define TAKE_DEEP_LIGHT(MAP, PROGRAM)           \
  do {                                          \
    TAKE_DEEP_DESCRIPTORS(MAP);                 \
    program->deep.by_cookie = PROGRAM(on_call); \
  } while (0)

/* The programs for one sort of functions each. */
#define SORTED_PROGRAMS(EACH)                   \
  do {                                          \
    EACH(DEEP_MUTEX_LOCK, on_mutex_lock);       \
    EACH(DEEP_MUTEX_TRY, on_mutex_try);         \
    EACH(DEEP_MUTEX_UNLOCK, on_mutex_unlock);   \
    EACH(DEEP_READ_LOCK, on_read_lock);         \
    EACH(DEEP_READ_TRY, on_read_try);           \
    EACH(DEEP_WRITE_LOCK, on_write_lock);       \
    EACH(DEEP_WRITE_TRY, on_write_try);         \
    EACH(DEEP_RWLOCK_UNLOCK, on_rwlock_unlock); \
    EACH(DEEP_SEM_WAIT, on_sem_wait);           \
    EACH(DEEP_SEM_TRY, on_sem_try);             \
    EACH(DEEP_SEM_POST, on_sem_post);           \
    EACH(DEEP_COND_WAIT, on_cond_wait);         \
    EACH(DEEP_COND_SIGNAL, on_cond_signal);     \
  } while (0)
#define LEAVE_OUT(sort, name) bpf_program__set_autoload(skeleton->progs.name, false)
#define TAKE_SORTED(sort, name) program->deep.programs[sort] = FULL_PROGRAM(name)

#define TAKE_DEEP_FULL(MAP, PROGRAM)              \
  do {                                            \
    TAKE_DEEP_DESCRIPTORS(MAP);                   \
    if (WAY(skeleton) == DEEP_ALL_TOGETHER) {     \
      program->deep.by_cookie = PROGRAM(on_call); \
    } else {                                      \
      SORTED_PROGRAMS(TAKE_SORTED);               \
    }                                             \
  } while (0)

/*
 * Before 6.1 the kernel logs a warning of its own (check_map_prog_compatibility() of
 * kernel/bpf/verifier.c) where programs at uprobes share a map whose entries are allocated when
 * they come. To have as many before as may come would take 100 MB: there are fewer, and what finds
 * no room is counted.
 */
#define ALLOCATED_MAX 16384

static void allocate_before(const struct bpf_object* object) {
  struct bpf_map* map = NULL;
  bpf_object__for_each_map(map, object) {
    if (bpf_map__type(map) == BPF_MAP_TYPE_HASH) {
      const unsigned flags = bpf_map__map_flags(map);
      (void)bpf_map__set_map_flags(map, flags & ~(unsigned)BPF_F_NO_PREALLOC);
      if (bpf_map__max_entries(map) > ALLOCATED_MAX) {
        (void)bpf_map__set_max_entries(map, ALLOCATED_MAX);
      }
    }
  }
}

/** Which programs of the other skeleton are loaded, and how. */
static void choose_deep(struct deep_bpf* skeleton) {
  if (WAY(skeleton) != DEEP_ALL_TOGETHER) {
    allocate_before(skeleton->obj);
    bpf_program__set_autoload(skeleton->progs.on_call, false);
    return;
  }
  SORTED_PROGRAMS(LEAVE_OUT);
  bpf_program__set_expected_attach_type(skeleton->progs.on_call,
                                        (enum bpf_attach_type)UPROBE_MULTI_ATTACH_TYPE);
}

#define TAKE_NOTHING(MAP, PROGRAM) \
  do {                             \
  } while (0)

#define CHOOSE_NOTHING(skeleton) (void)0

/* load_TYPE(): as load_locks(), with one of the skeletons. */
#define DEFINE_LOAD(type, OPEN, MAP, LINK, PROGRAM, CHOOSE, TAKE_MORE)                      \
  static void destroy_##type(void* skeleton) { type##__destroy(skeleton); }                 \
  static int load_##type(struct lock_program* program, const struct kernel_layout* layout,  \
                         const struct lock_call* calls, const struct lock_filter* filter) { \
    struct type* skeleton = OPEN(type);                                                     \
    if (skeleton == NULL) {                                                                 \
      return -errno;                                                                        \
    }                                                                                       \
    SET_CONSTANTS(skeleton);                                                                \
    CHOOSE(skeleton);                                                                       \
    int error = type##__load(skeleton);                                                     \
    if (error == 0) {                                                                       \
      error = type##__attach(skeleton);                                                     \
    }                                                                                       \
    if (error != 0) {                                                                       \
      type##__destroy(skeleton);                                                            \
      return error;                                                                         \
    }                                                                                       \
    TAKE_DESCRIPTORS(MAP, LINK);                                                            \
    TAKE_MORE(MAP, PROGRAM);                                                                \
    program->destroy = destroy_##type;                                                      \
    return 0;                                                                               \
  }

DEFINE_LOAD(locks_light, LIGHT_OPEN, LIGHT_MAP, LIGHT_LINK, LIGHT_PROGRAM, CHOOSE_NOTHING,
            TAKE_NOTHING)
DEFINE_LOAD(locks_bpf, FULL_OPEN, FULL_MAP, FULL_LINK, FULL_PROGRAM, CHOOSE_NOTHING, TAKE_NOTHING)
DEFINE_LOAD(deep_light, LIGHT_OPEN, LIGHT_MAP, LIGHT_LINK, LIGHT_PROGRAM, CHOOSE_NOTHING,
            TAKE_DEEP_LIGHT)
DEFINE_LOAD(deep_bpf, FULL_OPEN, FULL_MAP, FULL_LINK, FULL_PROGRAM, choose_deep, TAKE_DEEP_FULL)

int load_locks(struct lock_program* program, const struct kernel_layout* layout,
               const struct lock_call* calls, const struct lock_filter* filter, int light) {
  const int is_deep = filter->deep != DEEP_NOT;
  prepare_bpf_loading();
  if (light) {
    return (is_deep ? load_deep_light : load_locks_light)(program, layout, calls, filter);
  }
  return (is_deep ? load_deep_bpf : load_locks_bpf)(program, layout, calls, filter);
}
