/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The generated skeletons behind one small C interface: they are C, and there are two of each. */
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

/** What a loaded skeleton offers. Descriptors are -1 when a program is not available. */
struct snapshot_programs {
  int walk;            /* iterator link over tasks and their descriptors */
  int mappings;        /* iterator link over shared mappings */
  int records;         /* the ring buffer */
  int mappings_error;  /* errno, why mappings is not there */
  unsigned long long* realtime_offset;
  unsigned long long* without_threads;
  unsigned long long* files_seen;
  unsigned long long* items_lost;
  void* skeleton;
  void (*destroy)(void* skeleton);
};

/** Loads without libbpf, as kernels since 5.17 can; all programs or none. 0 or a negative errno. */
int load_light_snapshot(struct snapshot_programs* programs);

/** Loads through libbpf, leaving out programs that this kernel refuses. 0 or a negative errno. */
int load_snapshot(struct snapshot_programs* programs);

#ifdef __cplusplus
}
#endif
