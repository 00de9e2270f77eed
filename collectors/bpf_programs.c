/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "collectors/bpf_programs.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>

#include "bpf/state.h"
#include "bpf/thread.h"
#include "snapshot.lskel.h"
#include "snapshot.skel.h"

static void destroy_light(void* skeleton) { snapshot_light__destroy(skeleton); }
static void destroy_full(void* skeleton) { snapshot_bpf__destroy(skeleton); }

#define EXPOSE(programs, skeleton_)                                                    \
  do {                                                                                 \
    (programs)->realtime_offset = (unsigned long long*)&(skeleton_)->bss->realtime_offset; \
    (programs)->without_threads = (unsigned long long*)&(skeleton_)->bss->without_threads; \
    (programs)->files_seen = (unsigned long long*)&(skeleton_)->bss->files_seen;       \
    (programs)->items_lost = (unsigned long long*)&(skeleton_)->bss->items_lost;       \
    (programs)->skeleton = (skeleton_);                                                \
  } while (0)

int load_light_snapshot(struct snapshot_programs* programs) {
  memset(programs, 0, sizeof *programs);
  struct snapshot_light* skeleton = snapshot_light__open();
  if (skeleton == NULL) {
    return -errno;
  }
  int error = snapshot_light__load(skeleton);
  if (error == 0) {
    error = snapshot_light__attach(skeleton);
  }
  if (error != 0) {
    snapshot_light__destroy(skeleton);
    return error;
  }
  programs->walk = skeleton->links.walk_fd;
  programs->mappings = skeleton->links.mappings_fd;
  programs->records = skeleton->maps.records.map_fd;
  programs->destroy = destroy_light;
  EXPOSE(programs, skeleton);
  return 0;
}

static int quiet(enum libbpf_print_level level, const char* format, va_list arguments) {
  (void)level;
  (void)format;
  (void)arguments;
  return 0;
}

static int try_load(struct snapshot_programs* programs, int with_mappings) {
  struct snapshot_bpf* skeleton = snapshot_bpf__open();
  if (skeleton == NULL) {
    return -errno;
  }
  bpf_program__set_autoload(skeleton->progs.mappings, with_mappings);
  int error = snapshot_bpf__load(skeleton);
  if (error == 0) {
    error = snapshot_bpf__attach(skeleton);
  }
  if (error != 0) {
    snapshot_bpf__destroy(skeleton);
    return error;
  }
  programs->walk = bpf_link__fd(skeleton->links.walk);
  programs->mappings = with_mappings ? bpf_link__fd(skeleton->links.mappings) : -1;
  programs->records = bpf_map__fd(skeleton->maps.records);
  programs->destroy = destroy_full;
  EXPOSE(programs, skeleton);
  return 0;
}

int load_snapshot(struct snapshot_programs* programs) {
  memset(programs, 0, sizeof *programs);
  libbpf_set_print(quiet);
  const int error = try_load(programs, 1);
  if (error == 0) {
    return 0;
  }
  /* Before 5.12 there is no iterator over mappings. */
  const int second = try_load(programs, 0);
  programs->mappings_error = second == 0 ? -error : 0;
  return second;
}
