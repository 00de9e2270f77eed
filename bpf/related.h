/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Walks that are about a few processes: which part of the host they cover. */
#ifndef IPCSCOPE_RELATED_H
#define IPCSCOPE_RELATED_H
#include "record.h"

enum walk_part {
  WALK_ALL,
  WALK_CHOSEN,  /* all threads, the descriptors of the chosen processes; notes what they have */
  WALK_LIKELY,  /* the descriptors of a process that probably shares or meets something of it */
  WALK_RELATED, /* the descriptors of all other processes that may share or meet something of it */
};

/* How closely WALK_RELATED looks at a file: a look inside costs more than the file itself. */
enum look_depth {
  LOOK_INSIDE,   /* what it leads to, and what that is connected with */
  LOOK_FILES,    /* whether it is one of those that are wanted */
  LOOK_DENTRIES, /* or was opened from the dentry of one */
};

/** One bit for each port number. */
struct port_set {
  u64 bits[1024];
};

/** What the chosen processes have, and what to look for elsewhere. */
struct relations {
  u32 part;               /* enum walk_part */
  u32 depth;              /* enum look_depth */
  u32 listeners;          /* UNIX sockets that listen may be the other end */
  u32 clients;            /* so may be UNIX sockets whose peer was not accepted yet */
  u32 vsock;              /* so may be any socket of that family */
  u32 too_many;           /* not all of it could be noted: everything is related */
  u64 in_flight;          /* descriptors may be in queues: a look at tables does not find all */
  u32 unprovable;         /* no count of references tells who else has to do with it */
  u64 wanted[1024];       /* a bit for some of the bits of each identity in the map of them */
  struct port_set local;  /* where connections wait to be accepted */
  struct port_set remote; /* where others may listen */
};

#define WANTED_MAX                                                              \
  65536 /* identities; and as such, the numbers of processes that are described \
         */
/** Which bit of relations.wanted stands for an identity. */
#define WANTED_BIT(identity) ((u32)(((identity)*0x9e3779b97f4a7c15ULL) >> 48))

#endif
