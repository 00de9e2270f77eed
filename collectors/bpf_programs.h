/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The generated skeletons behind one small C interface: they are C, and there are two of each. */
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

/** One loaded object with its iterator attached. */
struct bpf_iterator_program {
  int link;
  int records; /* the ring buffer that it fills */
  void* skeleton;
  void (*destroy)(void* skeleton);
};

/** What user space says to the walk and hears from it, in memory shared with the program. */
struct walk_state {
  unsigned long long* realtime_offset;
  unsigned long long* without_threads;
  unsigned long long* files_seen;
  unsigned long long* items_lost;
};

/*
 * Each tries a light skeleton first, which needs 6.2, then libbpf.
 * 0 or a negative errno; then nothing is left loaded.
 */
int load_walk(struct bpf_iterator_program* program, struct walk_state* state);
int load_mappings(struct bpf_iterator_program* program);

#ifdef __cplusplus
}
#endif
