/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The skeletons of bpf/sysv.bpf.c behind one small C interface, as collectors/bpf_programs.h. */
#pragma once

struct kernel_layout;

#ifdef __cplusplus
extern "C" {
#endif

/** The loaded program with its iterator attached. */
struct sysv_program {
  int link;
  int records;              /* the ring buffer that it fills */
  unsigned long long* lost; /* namespaces that it did not walk to their end */
  void* skeleton;
  void (*destroy)(void* skeleton);
};

/** loading: bits of bpf_loading. 0 or a negative errno; then nothing is left loaded. */
int load_sysv(struct sysv_program* program, const struct kernel_layout* layout, unsigned loading);

#ifdef __cplusplus
}
#endif
