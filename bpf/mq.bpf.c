// SPDX-License-Identifier: GPL-2.0-or-later
#include "walk.h"

__noinline int mq_describe(u64 address) {
  const u64 file = VIEW(address, file);
  const u64 inode = READ(file, file, inode);
  const u64 info = CONTAINER(inode, mqueue_inode_info, vfs_inode);
  const u64 queue = VIEW(info, mqueue_inode_info);
  struct mq_record *record = &out.mq;
  record->file.head.kind = RECORD_MQ;
  record->messages = READ(queue, mqueue_inode_info, messages);
  record->messages_max = READ(queue, mqueue_inode_info, messages_max);
  record->message_bytes_max = READ(queue, mqueue_inode_info, message_bytes_max);
  record->bytes = READ(queue, mqueue_inode_info, qsize);
  record->notify_pid = (u32)pid_number(number_of(READ(queue, mqueue_inode_info, notify_owner)));
  record->notify_signal =
      record->notify_pid ? (u32)READ(queue, mqueue_inode_info, notify_signal) : 0;
  record->waiting_senders =
      (u32)list_length(ADDRESS(info, mqueue_inode_info, e_wait_q) + OFFSET(ext_wait_queue, list));
  record->waiting_receivers = (u32)list_length(ADDRESS(info, mqueue_inode_info, e_wait_q) +
                                               SIZE(ext_wait_queue) + OFFSET(ext_wait_queue, list));
  record->links = READ(inode, inode, nlink);
  const u64 dentry = READ(file, file, dentry);
  const u32 length = READ(dentry, dentry, name_length);
  record->name_length = (u16)(length < MQ_NAME_MAX ? length : MQ_NAME_MAX);
  record->reserved = 0;
  bpf_probe_read_kernel_str(record->name, MQ_NAME_MAX, (void *)READ(dentry, dentry, name));
  return sizeof(struct mq_record);
}
