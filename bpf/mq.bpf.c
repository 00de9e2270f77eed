// SPDX-License-Identifier: GPL-2.0-or-later
#include "walk.h"

__noinline int mq_describe(u64 address) {
  struct file *file = (struct file *)address;
  struct inode *inode = READ(file, f_inode);
  struct mqueue_inode_info *queue = container_address(inode, struct mqueue_inode_info, vfs_inode);
  struct mq_record *record = &out.mq;
  record->file.head.kind = RECORD_MQ;
  record->messages = (u64)READ(queue, attr.mq_curmsgs);
  record->messages_max = (u64)READ(queue, attr.mq_maxmsg);
  record->message_bytes_max = (u64)READ(queue, attr.mq_msgsize);
  record->bytes = READ(queue, qsize);
  record->notify_pid = (u32)pid_number(number_of(READ(queue, notify_owner)));
  record->notify_signal = record->notify_pid ? (u32)READ(queue, notify.sigev_signo) : 0;
  record->waiting_senders = (u32)list_length(number_of(&queue->e_wait_q[0].list));
  record->waiting_receivers = (u32)list_length(number_of(&queue->e_wait_q[1].list));
  record->links = READ(inode, i_nlink);
  const u32 length = READ(file, f_path.dentry, d_name.len);
  record->name_length = (u16)(length < MQ_NAME_MAX ? length : MQ_NAME_MAX);
  record->reserved = 0;
  bpf_probe_read_kernel_str(record->name, MQ_NAME_MAX, READ(file, f_path.dentry, d_name.name));
  return sizeof(struct mq_record);
}
