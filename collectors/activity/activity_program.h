/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The skeletons of bpf/activity.bpf.c behind one small C interface, as collectors/bpf_programs.h.
 */
#pragma once

struct kernel_layout;
struct activity_call;
struct activity_counters;

#ifdef __cplusplus
extern "C" {
#endif

/** The loaded programs, none of them attached. */
struct activity_program {
  int self; /* descriptors of the programs */
  int exit;
  int ring;
  int pairs;                          /* of the map */
  struct activity_counters* counters; /* shared with the programs */
  void* skeleton;
  void (*destroy)(void* skeleton);
};

/** calls: TRACE_CALLS of them. light: by the kernel alone and with direct reads (6.2), else through
 * libbpf. 0 or a negative errno; then nothing is left loaded. */
int load_activity(struct activity_program* program, const struct kernel_layout* layout,
                  const struct activity_call* calls, int light);

#ifdef __cplusplus
}
#endif
