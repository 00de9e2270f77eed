/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "collectors/leftovers/sysv_program.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <string.h>

#include "bpf/layout.h"
#include "bpf/sysv.h"
#include "collectors/bpf_skeleton.h"
#include "sysv.lskel.h"
#include "sysv.oskel.h"
#include "sysv.skel.h"

#define PREPARE(kind) SET_CONSTANT(layout, given, sizeof *given)

#define TAKE(kind)                                                  \
  do {                                                              \
    program->link = kind##_LINK(sysv);                              \
    program->records = kind##_MAP(sysv_records);                    \
    program->lost = (unsigned long long*)&skeleton->bss->sysv_lost; \
  } while (0)

DEFINE_LOADER(sysv_light, LIGHT, struct sysv_program, const struct kernel_layout, PREPARE,
              ATTACH_NOW, TAKE)
DEFINE_LOADER(sysv_bpf, FULL, struct sysv_program, const struct kernel_layout, PREPARE, ATTACH_NOW,
              TAKE)
DEFINE_LOADER(sysv_old, FULL, struct sysv_program, const struct kernel_layout, PREPARE, ATTACH_NOW,
              TAKE)

int load_sysv(struct sysv_program* program, const struct kernel_layout* layout, unsigned loading) {
  prepare_bpf_loading();
  LOAD(sysv, load_sysv_old, program, layout, loading);
}
