/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "collectors/leftovers/sysv_program.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>

#include "bpf/layout.h"
#include "bpf/sysv.h"
#include "sysv.lskel.h"
#include "sysv.skel.h"

static int quiet(enum libbpf_print_level level, const char* format, va_list arguments) {
  (void)level;
  (void)format;
  (void)arguments;
  return 0;
}

static void destroy_light(void* skeleton) { sysv_light__destroy(skeleton); }
static void destroy_full(void* skeleton) { sysv_bpf__destroy(skeleton); }

static int load_light(struct sysv_program* program, const struct kernel_layout* layout) {
  struct sysv_light* skeleton = sysv_light__open();
  if (skeleton == NULL) {
    return -errno;
  }
  memcpy(&skeleton->rodata->layout, layout, sizeof *layout);
  int error = sysv_light__load(skeleton);
  if (error == 0) {
    error = sysv_light__attach(skeleton);
  }
  if (error != 0) {
    sysv_light__destroy(skeleton);
    return error;
  }
  program->link = skeleton->links.sysv_fd;
  program->records = skeleton->maps.sysv_records.map_fd;
  program->lost = (unsigned long long*)&skeleton->bss->sysv_lost;
  program->skeleton = skeleton;
  program->destroy = destroy_light;
  return 0;
}

static int load_full(struct sysv_program* program, const struct kernel_layout* layout) {
  libbpf_set_print(quiet);
  struct sysv_bpf* skeleton = sysv_bpf__open();
  if (skeleton == NULL) {
    return -errno;
  }
  memcpy((void*)&skeleton->rodata->layout, layout, sizeof *layout);
  int error = sysv_bpf__load(skeleton);
  if (error == 0) {
    error = sysv_bpf__attach(skeleton);
  }
  if (error != 0) {
    sysv_bpf__destroy(skeleton);
    return error;
  }
  program->link = bpf_link__fd(skeleton->links.sysv);
  program->records = bpf_map__fd(skeleton->maps.sysv_records);
  program->lost = (unsigned long long*)&skeleton->bss->sysv_lost;
  program->skeleton = skeleton;
  program->destroy = destroy_full;
  return 0;
}

int load_sysv(struct sysv_program* program, const struct kernel_layout* layout, int light) {
  return light ? load_light(program, layout) : load_full(program, layout);
}
