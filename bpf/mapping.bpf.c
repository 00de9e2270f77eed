// SPDX-License-Identifier: GPL-2.0-or-later
/* An object of its own, so that it can be loaded beside the walk and is missed alone before 5.12.
 */
#include "shmem_facts.h"
#include "task.h"

#define VM_READ 1
#define VM_WRITE 2
#define VM_EXEC 4
#define VM_MAYSHARE 0x80

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 512 << 10);
} mapping_records SEC(".maps");

/** Shared mappings of every process: one record each, through the ring as the walk does. */
SEC("iter/task_vma")
int mappings(struct bpf_iter__task_vma *ctx) {
  struct task_struct *task = ctx->task;
  struct vm_area_struct *area = ctx->vma;
  if (!task || !area || task->pid != task->tgid) {
    return 0;
  }
  const u64 flags = area->vm_flags;
  struct file *file = area->vm_file;
  if (!(flags & VM_MAYSHARE) || !file) {
    return 0;
  }
  struct inode *inode = READ(file, f_inode);
  struct mapping_record *record = bpf_ringbuf_reserve(&mapping_records, sizeof *record, 0);
  if (!record) {
    return 1;
  }
  record->head.kind = RECORD_MAPPING;
  record->head.size = sizeof(struct mapping_record);
  record->head.pid = own_number(task);
  record->start = area->vm_start;
  record->end = area->vm_end;
  record->offset = area->vm_pgoff << 12;
  record->object = (u64)inode;
  record->inode = READ(inode, i_ino);
  record->device = READ(inode, i_sb, s_dev);
  record->flags = (flags & VM_READ ? MAPPING_READ : 0) | (flags & VM_WRITE ? MAPPING_WRITE : 0) |
                  (flags & VM_EXEC ? MAPPING_EXEC : 0) | MAPPING_SHARED;
  record->mode = READ(inode, i_mode);
  record->uid = READ(inode, i_uid.val);
  read_facts(&record->facts, file, inode);
  bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
  return 0;
}

char LICENSE[] SEC("license") = "GPL";
