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
#include "collectors/bpf_skeleton.h"
#include "mappings.lskel.h"
#include "mappings.skel.h"
#include "registers.lskel.h"
#include "registers.skel.h"
#include "snapshot.lskel.h"
#include "snapshot.oskel.h"
#include "snapshot.skel.h"

#define PREPARE(kind) SET_CONSTANT(layout, given, sizeof *given)

#define TAKE_ITERATOR(kind, entry, ring)      \
  do {                                        \
    program->program = kind##_PROGRAM(entry); \
    program->link = kind##_LINK(entry);       \
    program->records = kind##_MAP(ring);      \
  } while (0)

/* --- the walk over all tasks --- */

struct walk_given {
  const struct kernel_layout* layout;
  struct walk_state* state;
};

/* Only the programs with direct reads tell related processes from others. */
#define PREPARE_WALK_LIGHT                                     \
  do {                                                         \
    skeleton->rodata->is_confined = given->state->is_confined; \
    skeleton->rodata->looks_ahead = given->state->looks_ahead; \
    LIGHT_RESIZE(wanted_identities, given->state->wanted_max); \
    LIGHT_RESIZE(records, given->state->ring_bytes);           \
  } while (0)
#define PREPARE_WALK_FULL (void)0
#define RELATIONS_LIGHT                           \
  do {                                            \
    state->relations = &skeleton->bss->relations; \
    state->wanted = LIGHT_MAP(wanted_identities); \
  } while (0)
#define RELATIONS_FULL (void)0

#define PREPARE_WALK(kind)                                      \
  do {                                                          \
    SET_CONSTANT(layout, given->layout, sizeof *given->layout); \
    PREPARE_WALK_##kind;                                        \
  } while (0)
#define TAKE_WALK(kind)                                                            \
  do {                                                                             \
    struct walk_state* state = given->state;                                       \
    TAKE_ITERATOR(kind, walk, records);                                            \
    state->realtime_offset = (unsigned long long*)&skeleton->bss->realtime_offset; \
    state->files_seen = (unsigned long long*)&skeleton->bss->files_seen;           \
    state->items_lost = (unsigned long long*)&skeleton->bss->items_lost;           \
    state->paused_pid = &skeleton->bss->paused_pid;                                \
    state->clock_offset = (long long*)&skeleton->data->clock_offset;               \
    state->relations = NULL;                                                       \
    state->wanted = -1;                                                            \
    RELATIONS_##kind;                                                              \
  } while (0)

DEFINE_LOADER(snapshot_light, LIGHT, struct bpf_iterator_program, const struct walk_given,
              PREPARE_WALK, ATTACH_NOW, TAKE_WALK)
DEFINE_LOADER(snapshot_bpf, FULL, struct bpf_iterator_program, const struct walk_given,
              PREPARE_WALK, ATTACH_NOW, TAKE_WALK)
DEFINE_LOADER(snapshot_old, FULL, struct bpf_iterator_program, const struct walk_given,
              PREPARE_WALK, ATTACH_NOW, TAKE_WALK)

/* --- mappings --- */

#define TAKE_MAPPINGS(kind) TAKE_ITERATOR(kind, mappings, mapping_records)

DEFINE_LOADER(mappings_light, LIGHT, struct bpf_iterator_program, const struct kernel_layout,
              PREPARE, ATTACH_NOW, TAKE_MAPPINGS)
DEFINE_LOADER(mappings_bpf, FULL, struct bpf_iterator_program, const struct kernel_layout, PREPARE,
              ATTACH_NOW, TAKE_MAPPINGS)

/* --- registers --- */

#define TAKE_REGISTERS(kind)                              \
  do {                                                    \
    program->program = kind##_PROGRAM(registers);         \
    program->wanted_group = &skeleton->bss->wanted_group; \
  } while (0)

DEFINE_LOADER(registers_light, LIGHT, struct registers_program, const struct kernel_layout, PREPARE,
              ATTACH_LATER, TAKE_REGISTERS)
DEFINE_LOADER(registers_bpf, FULL, struct registers_program, const struct kernel_layout, PREPARE,
              ATTACH_LATER, TAKE_REGISTERS)

int load_walk(struct bpf_iterator_program* program, struct walk_state* state,
              const struct kernel_layout* layout, unsigned loading) {
  prepare_bpf_loading();
  const struct walk_given given = {layout, state};
  const struct walk_given* to_walk = &given;
  LOAD(snapshot, load_snapshot_old, program, to_walk, loading);
}

int load_mappings(struct bpf_iterator_program* program, const struct kernel_layout* layout,
                  unsigned loading) {
  prepare_bpf_loading();
  if (is_without_in_bpf(BPF_WITHOUT_TASK_VMA)) {
    return -ESRCH; /* as libbpf when the kernel has no such iterator */
  }
  LOAD(mappings, NULL, program, layout, loading);
}

int load_registers(struct registers_program* program, const struct kernel_layout* layout,
                   unsigned loading) {
  prepare_bpf_loading();
  LOAD(registers, NULL, program, layout, loading);
}
