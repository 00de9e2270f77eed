/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a skeleton is loaded, whichever of its two kinds it is (see bpf/CMakeLists.txt). */
#pragma once

#include <errno.h>

#include "collectors/bpf_loading.h"

struct bpf_object_open_opts;
/** For every skeleton of libbpf. */
const struct bpf_object_open_opts* open_options(void);

/* What the members of a light skeleton, and of one of libbpf, are called. */
#define LIGHT_MAP(name) (skeleton->maps.name.map_fd)
#define LIGHT_LINK(name) (skeleton->links.name##_fd)
#define LIGHT_PROGRAM(name) (skeleton->progs.name.prog_fd)
#define LIGHT_RESIZE(name, entries) (void)(skeleton->maps.name.max_entries = (entries))
#define FULL_MAP(name) bpf_map__fd(skeleton->maps.name)
#define FULL_LINK(name) bpf_link__fd(skeleton->links.name)
#define FULL_PROGRAM(name) bpf_program__fd(skeleton->progs.name)
#define FULL_RESIZE(name, entries) (void)bpf_map__set_max_entries(skeleton->maps.name, entries)

/* How one is opened. NULL with errno. */
#define LIGHT_OPEN(type) \
  (is_without_in_bpf(BPF_WITHOUT_DIRECT_READS) ? (errno = EOPNOTSUPP, NULL) : type##__open())
#define FULL_OPEN(type) type##__open_opts(open_options())

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
    struct type* skeleton = kind##_OPEN(type);                                     \
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

/*
 * LOAD(type, load_old, program, given, loading) returns from the function that it is in, as the
 * first of the kinds of loading does that works. load_old: of the skeleton without loops; NULL
 * when the programs have none anyway.
 */
#define LOAD(type, load_old, program, given, loading)                    \
  do {                                                                   \
    unsigned kinds = (loading);                                          \
    int (*const old)(__typeof__(program), __typeof__(given)) = load_old; \
    if (old != NULL && is_without_in_bpf(BPF_WITHOUT_LOOPS)) {           \
      kinds &= ~(unsigned)BPF_LOADING_FULL;                              \
    }                                                                    \
    int error = -EINVAL;                                                 \
    if (kinds & BPF_LOADING_LIGHT) {                                     \
      error = load_##type##_light(program, given);                       \
    }                                                                    \
    if (error != 0 && (kinds & BPF_LOADING_FULL)) {                      \
      error = load_##type##_bpf(program, given);                         \
    }                                                                    \
    if (error != 0 && old != NULL && (kinds & BPF_LOADING_OLD)) {        \
      error = old(program, given);                                       \
    }                                                                    \
    return error;                                                        \
  } while (0)

/* NOLINTEND(bugprone-macro-parentheses) */
