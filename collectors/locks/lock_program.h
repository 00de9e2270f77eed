/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The generated skeletons of the programs of locks behind one small C interface. */
#pragma once

struct kernel_layout;
struct lock_call;
struct lock_filter;
struct lock_state;
struct queue_look;
struct deep_state;

#ifdef __cplusplus
extern "C" {
#endif

/** The sorts of functions that `locks --deep` probes, one program for each. */
enum deep_sort {
  DEEP_MUTEX_LOCK,
  DEEP_MUTEX_TRY,
  DEEP_MUTEX_UNLOCK,
  DEEP_READ_LOCK,
  DEEP_READ_TRY,
  DEEP_WRITE_LOCK,
  DEEP_WRITE_TRY,
  DEEP_RWLOCK_UNLOCK,
  DEEP_SEM_WAIT,
  DEEP_SEM_TRY,
  DEEP_SEM_POST,
  DEEP_COND_WAIT,
  DEEP_COND_SIGNAL,
  DEEP_SORTS,
};

/** What bpf/deep.bpf.c adds. */
struct deep_program {
  struct deep_state* state; /* null: not loaded */
  int holds;                /* maps */
  int orders;
  int programs[DEEP_SORTS]; /* loaded; the probes are not attached yet */
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
  int copies;    /* ring buffer */
  int seed_link; /* iterators */
  int pending_link;
  int queues_link;
  struct deep_program deep;
  void* skeleton;
  void (*destroy)(void* skeleton);
};

/*
 * 0 or a negative errno; then nothing is left loaded. calls has LOCK_CALLS entries. deep: with the
 * programs of `locks --deep`.
 */
int load_locks(struct lock_program* program, const struct kernel_layout* layout,
               const struct lock_call* calls, const struct lock_filter* filter, int light,
               int deep);

#ifdef __cplusplus
}
#endif
