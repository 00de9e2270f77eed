/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "collectors/locks/lock_program.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>

#include "bpf/held.h"
#include "bpf/layout.h"
#include "bpf/locks.h"
#include "collectors/bpf_skeleton.h"
#include "deep.lskel.h"
#include "deep.skel.h"
#include "locks.lskel.h"
#include "locks.skel.h"

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
    program->stacks = MAP(stacks);                                    \
    program->waker_stacks = MAP(waker_stacks);                        \
    program->copies = MAP(copies);                                    \
    program->seed_link = LINK(seed_waits);                            \
    program->pending_link = LINK(pending_waits);                      \
    program->queues_link = LINK(look_at_queues);                      \
    program->skeleton = skeleton;                                     \
  } while (0)

#define TAKE_DEEP_DESCRIPTORS(MAP, PROGRAM)                         \
  do {                                                              \
    struct deep_program* deep = &program->deep;                     \
    deep->state = (struct deep_state*)&skeleton->bss->deep_state;   \
    deep->holds = MAP(holds);                                       \
    deep->orders = MAP(orders);                                     \
    deep->programs[DEEP_MUTEX_LOCK] = PROGRAM(on_mutex_lock);       \
    deep->programs[DEEP_MUTEX_TRY] = PROGRAM(on_mutex_try);         \
    deep->programs[DEEP_MUTEX_UNLOCK] = PROGRAM(on_mutex_unlock);   \
    deep->programs[DEEP_READ_LOCK] = PROGRAM(on_read_lock);         \
    deep->programs[DEEP_READ_TRY] = PROGRAM(on_read_try);           \
    deep->programs[DEEP_WRITE_LOCK] = PROGRAM(on_write_lock);       \
    deep->programs[DEEP_WRITE_TRY] = PROGRAM(on_write_try);         \
    deep->programs[DEEP_RWLOCK_UNLOCK] = PROGRAM(on_rwlock_unlock); \
    deep->programs[DEEP_SEM_WAIT] = PROGRAM(on_sem_wait);           \
    deep->programs[DEEP_SEM_TRY] = PROGRAM(on_sem_try);             \
    deep->programs[DEEP_SEM_POST] = PROGRAM(on_sem_post);           \
    deep->programs[DEEP_COND_WAIT] = PROGRAM(on_cond_wait);         \
    deep->programs[DEEP_COND_SIGNAL] = PROGRAM(on_cond_signal);     \
  } while (0)

#define TAKE_NOTHING(MAP, PROGRAM) \
  do {                             \
  } while (0)

/* load_TYPE(): as load_locks(), with one of the skeletons. */
#define DEFINE_LOAD(type, OPEN, MAP, LINK, PROGRAM, TAKE_MORE)                              \
  static void destroy_##type(void* skeleton) { type##__destroy(skeleton); }                 \
  static int load_##type(struct lock_program* program, const struct kernel_layout* layout,  \
                         const struct lock_call* calls, const struct lock_filter* filter) { \
    struct type* skeleton = OPEN(type);                                                     \
    if (skeleton == NULL) {                                                                 \
      return -errno;                                                                        \
    }                                                                                       \
    SET_CONSTANTS(skeleton);                                                                \
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

DEFINE_LOAD(locks_light, LIGHT_OPEN, LIGHT_MAP, LIGHT_LINK, LIGHT_PROGRAM, TAKE_NOTHING)
DEFINE_LOAD(locks_bpf, FULL_OPEN, FULL_MAP, FULL_LINK, FULL_PROGRAM, TAKE_NOTHING)
DEFINE_LOAD(deep_light, LIGHT_OPEN, LIGHT_MAP, LIGHT_LINK, LIGHT_PROGRAM, TAKE_DEEP_DESCRIPTORS)
DEFINE_LOAD(deep_bpf, FULL_OPEN, FULL_MAP, FULL_LINK, FULL_PROGRAM, TAKE_DEEP_DESCRIPTORS)

int load_locks(struct lock_program* program, const struct kernel_layout* layout,
               const struct lock_call* calls, const struct lock_filter* filter, int light,
               int deep) {
  prepare_bpf_loading();
  if (light) {
    return (deep ? load_deep_light : load_locks_light)(program, layout, calls, filter);
  }
  return (deep ? load_deep_bpf : load_locks_bpf)(program, layout, calls, filter);
}
