/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How many references the kernel counts on an open file, so that it can be told who is missing. */
#ifndef IPCSCOPE_REFERENCES_H
#define IPCSCOPE_REFERENCES_H
#include "record.h"

/**
 * Each descriptor (once for all processes that share the table) and each mapping holds a reference
 * on an open file description; so do, for a while, system calls, messages and rings. What can be
 * opened again and be the same channel counts its open file descriptions in turn.
 */
struct references {
  u64 file;        /* identity of the open file description; 0: nobody else matters */
  u64 credentials; /* of the task that opened it, as in thread_record */
  u64 object;      /* identity of what its other openings share: a dentry, a terminal */
  u32 count;       /* on the open file description; UNKNOWN_U32 */
  u32 openings;    /* of object, at most; UNKNOWN_U32: there may be others that are not counted */
};
RECORD_ASSERT(sizeof(struct references) == 32, "references");

/** A file that a walk over a few processes came to. */
struct reference_record {
  struct record head;
  s32 fd;       /* -1: it is held somewhere, the other end of a socket for instance */
  u32 terminal; /* 1: object is a terminal, not a dentry */
  u64 table;    /* identity of the descriptor table */
  struct references references;
};
RECORD_ASSERT(sizeof(struct reference_record) == 56, "reference_record");

#endif
