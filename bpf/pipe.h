/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IPCSCOPE_PIPE_H
#define IPCSCOPE_PIPE_H
#include "record.h"

/** Anonymous pipe or FIFO. object is the pipe's inode. */
struct pipe_record {
  struct file_record file;
  u64 bytes;        /* queued; UNKNOWN_U64 */
  u32 buffers_used; /* slots of the ring in use; UNKNOWN_U32, and so all below */
  u32 buffers_max;  /* capacity in pages */
  u32 readers;      /* open file descriptions with the read end */
  u32 writers;
};
RECORD_ASSERT(sizeof(struct pipe_record) == 80, "pipe_record");

#endif
