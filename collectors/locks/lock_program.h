/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The generated skeletons of the programs of locks behind one small C interface. */
#pragma once

#include "bpf/held.h"

struct kernel_layout;
struct lock_call;
struct lock_filter;
struct lock_state;
struct queue_look;
struct deep_state;

#ifdef __cplusplus
extern "C" {
#endif

/** What bpf/deep.bpf.c adds. Its programs are loaded, the probes are not attached yet. */
struct deep_program {
  enum deep_way way;
  struct deep_state* state;
  int holds; /* maps */
  int orders;
  int by_cookie; /* for all sorts of functions, which are the cookies of the probes; -1: none */
  int programs[DEEP_SORTS]; /* else one for each */
};

/** The loaded and attached programs. Nothing is pinned: the kernel drops all with the process. */
struct lock_program {
  struct lock_state* state;  /* shared with the programs */
  struct queue_look* queues; /* QUEUE_LOOKS of them, likewise */
  int news;                  /* ring buffer */
  int locks;                 /* maps */
  int pairs;
  int aliases;
  int stacks;
  int waker_stacks;
  int turns;
  int copies;    /* ring buffer */
  int seed_link; /* iterators */
  int pending_link;
  int queues_link;
  struct deep_program deep;
  void* skeleton;
  void (*destroy)(void* skeleton);
};

/*
 * 0 or a negative errno; then nothing is left loaded. calls has LOCK_CALLS entries. With the
 * programs of `locks --deep` where filter->deep says so; where they cannot be loaded for one link,
 * they are loaded for events.
 */
int load_locks(struct lock_program* program, const struct kernel_layout* layout,
               const struct lock_call* calls, const struct lock_filter* filter, int light);

#ifdef __cplusplus
}
#endif
