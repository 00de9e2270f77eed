/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IPCSCOPE_MQ_H
#define IPCSCOPE_MQ_H
#include "record.h"

#define MQ_NAME_MAX 64

/** POSIX message queue. object is its inode. */
struct mq_record {
  struct file_record file;
  u64 messages; /* queued; UNKNOWN_U64, and so all below */
  u64 messages_max;
  u64 message_bytes_max;
  u64 bytes;      /* queued */
  u32 notify_pid; /* 0 when none is registered; UNKNOWN_U32 */
  u32 notify_signal;
  u32 waiting_senders; /* UNKNOWN_U32 */
  u32 waiting_receivers;
  u32 links;
  u16 name_length;
  u16 reserved;
  char name[MQ_NAME_MAX]; /* without the slash, cut at MQ_NAME_MAX */
};
RECORD_ASSERT(sizeof(struct mq_record) == 176, "mq_record");

#endif
