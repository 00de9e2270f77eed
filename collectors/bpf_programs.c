/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "collectors/bpf_programs.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>

#include "bpf/layout.h"
#include "bpf/registers.h"
#include "bpf/related.h"
#include "bpf/state.h"
#include "bpf/thread.h"
#include "mappings.lskel.h"
#include "mappings.skel.h"
#include "registers.lskel.h"
#include "registers.skel.h"
#include "snapshot.lskel.h"
#include "snapshot.skel.h"

static int quiet(enum libbpf_print_level level, const char* format, va_list arguments) {
  (void)level;
  (void)format;
  (void)arguments;
  return 0;
}

static void find_state(struct walk_state* state, unsigned long long* realtime_offset,
                       unsigned long long* files_seen, unsigned long long* items_lost,
                       unsigned* paused_pid, long long* clock_offset) {
  state->realtime_offset = realtime_offset;
  state->files_seen = files_seen;
  state->items_lost = items_lost;
  state->paused_pid = paused_pid;
  state->clock_offset = clock_offset;
  state->relations = NULL;
  state->wanted = -1;
}

#define EXPOSE_FULL(state, skeleton)                                                          \
  find_state(state, (unsigned long long*)&(skeleton)->bss->realtime_offset,                   \
             (unsigned long long*)&(skeleton)->bss->files_seen,                               \
             (unsigned long long*)&(skeleton)->bss->items_lost, &(skeleton)->bss->paused_pid, \
             (long long*)&(skeleton)->data->clock_offset)

/* Only the programs with direct reads tell related processes from others. */
#define EXPOSE_LIGHT(state, skeleton)                            \
  do {                                                           \
    EXPOSE_FULL(state, skeleton);                                \
    (state)->relations = &(skeleton)->bss->relations;            \
    (state)->wanted = (skeleton)->maps.wanted_identities.map_fd; \
  } while (0)

/* NOLINTBEGIN(bugprone-macro-parentheses): names cannot stand in parentheses. */

/* The two skeletons of an object differ only in their names; entry is the program, ring its map. */
#define LOADERS(name, entry, ring, state_type, prepare_light, expose_light, expose_full)    \
  static void name##_light_destroy_any(void* skeleton) { name##_light__destroy(skeleton); } \
  static void name##_bpf_destroy_any(void* skeleton) { name##_bpf__destroy(skeleton); }     \
                                                                                            \
  static int name##_load_light(struct bpf_iterator_program* program, state_type* state,     \
                               const struct kernel_layout* layout) {                        \
    struct name##_light* skeleton = name##_light__open();                                   \
    if (skeleton == NULL) {                                                                 \
      return -errno;                                                                        \
    }                                                                                       \
    memcpy(&skeleton->rodata->layout, layout, sizeof *layout);                              \
    prepare_light(state, skeleton);                                                         \
    int error = name##_light__load(skeleton);                                               \
    if (error == 0) {                                                                       \
      error = name##_light__attach(skeleton);                                               \
    }                                                                                       \
    if (error != 0) {                                                                       \
      name##_light__destroy(skeleton);                                                      \
      return error;                                                                         \
    }                                                                                       \
    program->program = skeleton->progs.entry.prog_fd;                                       \
    program->link = skeleton->links.entry##_fd;                                             \
    program->records = skeleton->maps.ring.map_fd;                                          \
    program->skeleton = skeleton;                                                           \
    program->destroy = name##_light_destroy_any;                                            \
    expose_light(state, skeleton);                                                          \
    return 0;                                                                               \
  }                                                                                         \
                                                                                            \
  static int name##_load_full(struct bpf_iterator_program* program, state_type* state,      \
                              const struct kernel_layout* layout) {                         \
    libbpf_set_print(quiet);                                                                \
    struct name##_bpf* skeleton = name##_bpf__open();                                       \
    if (skeleton == NULL) {                                                                 \
      return -errno;                                                                        \
    }                                                                                       \
    memcpy((void*)&skeleton->rodata->layout, layout, sizeof *layout);                       \
    int error = name##_bpf__load(skeleton);                                                 \
    if (error == 0) {                                                                       \
      error = name##_bpf__attach(skeleton);                                                 \
    }                                                                                       \
    if (error != 0) {                                                                       \
      name##_bpf__destroy(skeleton);                                                        \
      return error;                                                                         \
    }                                                                                       \
    program->program = bpf_program__fd(skeleton->progs.entry);                              \
    program->link = bpf_link__fd(skeleton->links.entry);                                    \
    program->records = bpf_map__fd(skeleton->maps.ring);                                    \
    program->skeleton = skeleton;                                                           \
    program->destroy = name##_bpf_destroy_any;                                              \
    expose_full(state, skeleton);                                                           \
    return 0;                                                                               \
  }

/* NOLINTEND(bugprone-macro-parentheses) */

#define PREPARE(state, skeleton)                                          \
  do {                                                                    \
    (skeleton)->rodata->is_confined = (state)->is_confined;               \
    (skeleton)->maps.wanted_identities.max_entries = (state)->wanted_max; \
    (skeleton)->maps.records.max_entries = (state)->ring_bytes;           \
  } while (0)
#define NOTHING(state, skeleton) (void)(state)

LOADERS(snapshot, walk, records, struct walk_state, PREPARE, EXPOSE_LIGHT, EXPOSE_FULL)
LOADERS(mappings, mappings, mapping_records, void, NOTHING, NOTHING, NOTHING)

static void registers_light_destroy_any(void* skeleton) { registers_light__destroy(skeleton); }
static void registers_bpf_destroy_any(void* skeleton) { registers_bpf__destroy(skeleton); }

static int registers_load_light(struct registers_program* program, void* state,
                                const struct kernel_layout* layout) {
  (void)state;
  struct registers_light* skeleton = registers_light__open();
  if (skeleton == NULL) {
    return -errno;
  }
  memcpy(&skeleton->rodata->layout, layout, sizeof *layout);
  const int error = registers_light__load(skeleton);
  if (error != 0) {
    registers_light__destroy(skeleton);
    return error;
  }
  program->program = skeleton->progs.registers.prog_fd;
  program->wanted_group = &skeleton->bss->wanted_group;
  program->skeleton = skeleton;
  program->destroy = registers_light_destroy_any;
  return 0;
}

static int registers_load_full(struct registers_program* program, void* state,
                               const struct kernel_layout* layout) {
  (void)state;
  libbpf_set_print(quiet);
  struct registers_bpf* skeleton = registers_bpf__open();
  if (skeleton == NULL) {
    return -errno;
  }
  memcpy((void*)&skeleton->rodata->layout, layout, sizeof *layout);
  const int error = registers_bpf__load(skeleton);
  if (error != 0) {
    registers_bpf__destroy(skeleton);
    return error;
  }
  program->program = bpf_program__fd(skeleton->progs.registers);
  program->wanted_group = &skeleton->bss->wanted_group;
  program->skeleton = skeleton;
  program->destroy = registers_bpf_destroy_any;
  return 0;
}

#define LOAD(name, program, state, layout, loading)                \
  do {                                                             \
    if ((loading) != BPF_LOADING_FULL) {                           \
      const int error = name##_load_light(program, state, layout); \
      if (error == 0 || (loading) == BPF_LOADING_LIGHT) {          \
        return error;                                              \
      }                                                            \
    }                                                              \
    return name##_load_full(program, state, layout);               \
  } while (0)

int load_walk(struct bpf_iterator_program* program, struct walk_state* state,
              const struct kernel_layout* layout, enum bpf_loading loading) {
  LOAD(snapshot, program, state, layout, loading);
}

int load_mappings(struct bpf_iterator_program* program, const struct kernel_layout* layout,
                  enum bpf_loading loading) {
  LOAD(mappings, program, NULL, layout, loading);
}

int load_registers(struct registers_program* program, const struct kernel_layout* layout,
                   enum bpf_loading loading) {
  LOAD(registers, program, NULL, layout, loading);
}
