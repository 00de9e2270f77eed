/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The generated skeletons of the programs of locks behind one small C interface. */
#pragma once

struct kernel_layout;
struct lock_call;
struct lock_filter;
struct lock_state;
struct queue_look;

#ifdef __cplusplus
extern "C" {
#endif

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
  int seed_link; /* iterators */
  int pending_link;
  int queues_link;
  void* skeleton;
  void (*destroy)(void* skeleton);
};

/* 0 or a negative errno; then nothing is left loaded. calls has LOCK_CALLS entries. */
int load_locks(struct lock_program* program, const struct kernel_layout* layout,
               const struct lock_call* calls, const struct lock_filter* filter, int light);

#ifdef __cplusplus
}
#endif
