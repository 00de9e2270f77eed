/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Walks that are about a few processes: which part of the host they cover. */
#ifndef IPCSCOPE_RELATED_H
#define IPCSCOPE_RELATED_H
#include "record.h"

#define CHOSEN_MAX 16

enum walk_part {
  WALK_ALL,
  WALK_CHOSEN,  /* all threads, the descriptors of the chosen processes; notes what they have */
  WALK_RELATED, /* the descriptors of other processes that may share or meet something of it */
};

/** One bit for each port number. */
struct port_set {
  u64 bits[1024];
};

/** What the chosen processes have, and what to look for elsewhere. */
struct relations {
  u32 part; /* enum walk_part */
  u32 chosen_count;
  u32 chosen[CHOSEN_MAX];
  u32 listeners;    /* UNIX sockets that listen may be the other end */
  u32 clients;      /* so may be UNIX sockets whose peer was not accepted yet */
  u32 vsock;        /* so may be any socket of that family */
  u32 too_many;     /* not all of it could be noted: everything is related */
  u64 wanted[1024]; /* a bit for some of the bits of each identity in the map of them */
  struct port_set local;
  struct port_set remote;
};

#define WANTED_MAX 65536
/** Which bit of relations.wanted stands for an identity. */
#define WANTED_BIT(identity) ((u32)(((identity)*0x9e3779b97f4a7c15ULL) >> 48))

#endif
