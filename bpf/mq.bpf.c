// SPDX-License-Identifier: GPL-2.0-or-later
#include "walk.h"

__noinline int mq_describe(u64 address) {
  const u64 file = address;
  const u64 inode = GET(file, file, inode);
  const u64 queue = CONTAINER(inode, mqueue_inode_info, vfs_inode);
  struct mq_record *record = &out.mq;
  record->file.head.kind = RECORD_MQ;
  record->messages = GET(queue, mqueue_inode_info, messages);
  record->messages_max = GET(queue, mqueue_inode_info, messages_max);
  record->message_bytes_max = GET(queue, mqueue_inode_info, message_bytes_max);
  record->bytes = GET(queue, mqueue_inode_info, qsize);
  record->notify_pid = (u32)pid_number(number_of(GET(queue, mqueue_inode_info, notify_owner)));
  record->notify_signal =
      record->notify_pid ? (u32)GET(queue, mqueue_inode_info, notify_signal) : 0;
  record->waiting_senders =
      (u32)list_length(ADDRESS(queue, mqueue_inode_info, e_wait_q) + OFFSET(ext_wait_queue, list));
  record->waiting_receivers = (u32)list_length(ADDRESS(queue, mqueue_inode_info, e_wait_q) +
                                               SIZE(ext_wait_queue) + OFFSET(ext_wait_queue, list));
  record->links = GET(inode, inode, nlink);
  const u32 length = GET(GET(file, file, dentry), dentry, name_length);
  record->name_length = (u16)(length < MQ_NAME_MAX ? length : MQ_NAME_MAX);
  record->reserved = 0;
  bpf_probe_read_kernel_str(record->name, MQ_NAME_MAX,
                            (void *)GET(GET(file, file, dentry), dentry, name));
  return sizeof(struct mq_record);
}
