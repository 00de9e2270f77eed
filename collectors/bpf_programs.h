/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The generated skeletons behind one small C interface: they are C, and there are two of each. */
#pragma once

struct kernel_layout;
struct relations;

#ifdef __cplusplus
extern "C" {
#endif

/** One loaded object with its iterator attached. */
struct bpf_iterator_program {
  int program;
  int link;    /* over all tasks */
  int records; /* the ring buffer that it fills */
  void* skeleton;
  void (*destroy)(void* skeleton);
};

/** What user space says to the walk and hears from it, in memory shared with the program. */
struct walk_state {
  /* Given before it is loaded: */
  unsigned is_confined; /* 0, and the program can only walk over all processes */
  unsigned wanted_max;  /* identities that may have to be noted */
  unsigned ring_bytes;  /* a power of two */
  unsigned looks_ahead; /* loads what many files need before it comes to them */
  /* Found when it is loaded: */
  unsigned long long* realtime_offset;
  unsigned long long* files_seen;
  unsigned long long* items_lost;
  unsigned* paused_pid;        /* 0: the next walk begins anew */
  long long* clock_offset;     /* scheduler clock - CLOCK_MONOTONIC, as far as this walk knows */
  struct relations* relations; /* NULL: every walk covers all processes */
  int wanted;                  /* the map of identities that relations.wanted is the filter of */
};

/** The loaded object that reads registers. It has no link: that is made for one process. */
struct registers_program {
  int program;
  unsigned* wanted_group;
  void* skeleton;
  void (*destroy)(void* skeleton);
};

/* loading: bits of bpf_loading. 0 or a negative errno; then nothing is left loaded. */
int load_walk(struct bpf_iterator_program* program, struct walk_state* state,
              const struct kernel_layout* layout, unsigned loading);
int load_mappings(struct bpf_iterator_program* program, const struct kernel_layout* layout,
                  unsigned loading);
int load_registers(struct registers_program* program, const struct kernel_layout* layout,
                   unsigned loading);

#ifdef __cplusplus
}
#endif
