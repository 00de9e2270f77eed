/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a skeleton is loaded, whichever of its two kinds it is (see bpf/CMakeLists.txt). */
#pragma once

#include <errno.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Before anything is loaded: lets maps have their memory, and libbpf say nothing. */
void prepare_bpf_loading(void);

#ifdef __cplusplus
}
#endif

/* What the members of a light skeleton, and of one of libbpf, are called. */
#define LIGHT_MAP(name) (skeleton->maps.name.map_fd)
#define LIGHT_LINK(name) (skeleton->links.name##_fd)
#define LIGHT_PROGRAM(name) (skeleton->progs.name.prog_fd)
#define LIGHT_RESIZE(name, entries) (void)(skeleton->maps.name.max_entries = (entries))
#define FULL_MAP(name) bpf_map__fd(skeleton->maps.name)
#define FULL_LINK(name) bpf_link__fd(skeleton->links.name)
#define FULL_PROGRAM(name) bpf_program__fd(skeleton->progs.name)
#define FULL_RESIZE(name, entries) (void)bpf_map__set_max_entries(skeleton->maps.name, entries)

/* A constant of the programs; for what it points to, a light skeleton has no const. */
#define SET_CONSTANT(name, from, bytes) memcpy((void*)&skeleton->rodata->name, from, bytes)

/* For what is not attached by its loader. */
#define ATTACH_LATER(type) 0
#define ATTACH_NOW(type) type##__attach(skeleton)

/* NOLINTBEGIN(bugprone-macro-parentheses): names cannot stand in parentheses. */

/*
 * load_TYPE(program, given): loads the skeleton TYPE, which is LIGHT or FULL. Returns 0 or a
 * negative errno; then nothing is left loaded. PREPARE and TAKE are given LIGHT or FULL for the
 * macros above, and see program, given and skeleton; program is a struct with skeleton and destroy
 * in it.
 */
#define DEFINE_LOADER(type, kind, program_type, given_type, PREPARE, ATTACH, TAKE) \
  static void destroy_##type(void* skeleton) { type##__destroy(skeleton); }        \
  static int load_##type(program_type* program, given_type* given) {               \
    struct type* skeleton = type##__open();                                        \
    if (skeleton == NULL) {                                                        \
      return -errno;                                                               \
    }                                                                              \
    PREPARE(kind);                                                                 \
    int error = type##__load(skeleton);                                            \
    if (error == 0) {                                                              \
      error = ATTACH(type);                                                        \
    }                                                                              \
    if (error != 0) {                                                              \
      type##__destroy(skeleton);                                                   \
      return error;                                                                \
    }                                                                              \
    TAKE(kind);                                                                    \
    program->skeleton = skeleton;                                                  \
    program->destroy = destroy_##type;                                             \
    return 0;                                                                      \
  }

/* NOLINTEND(bugprone-macro-parentheses) */
