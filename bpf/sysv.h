/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IPCSCOPE_SYSV_H
#define IPCSCOPE_SYSV_H
#include "record.h"

#define SYSV_SEM 0 /* IPC_SEM_IDS in ipc/util.h */
#define SYSV_MSG 1 /* IPC_MSG_IDS */

/**
 * What nobody else tells of a System V object. One may come twice, when a namespace is walked
 * again.
 */
struct sysv_record {
  u32 name_space; /* inode number of its IPC namespace */
  u32 kind;       /* SYSV_* */
  s32 id;         /* as semget() and msgget() give it */
  u32 undos;      /* of a set: processes with an undo structure for it; UNKNOWN_U32 */
  u32 blocked;    /* threads on its wait lists; UNKNOWN_U32 */
  u32 reserved;
};
RECORD_ASSERT(sizeof(struct sysv_record) == 24, "sysv_record");

/* The types of the program's variables, for the skeletons that list them. */

/** Where the walk is; it pauses when the ring is full. */
struct sysv_walk {
  u64 name_space; /* address, 0: none is being walked */
  u32 inum;
  u32 kind;
  u32 index;
  u32 state;
};

/** A list that is being counted. */
struct sysv_list {
  u64 head;
  u64 at;
  u32 count;
  u32 reserved;
};

/** The semaphores of a set that is being looked at. */
struct sysv_set {
  u64 sems; /* address of the first one */
  u32 count;
  u32 blocked;
};

#endif
