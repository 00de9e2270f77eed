// SPDX-License-Identifier: GPL-2.0-or-later
#include "walk.h"

#define TMPFS_MAGIC 0x01021994
#define HUGETLBFS_MAGIC 0x958458f6
#define VM_READ 1
#define VM_WRITE 2
#define VM_EXEC 4
#define VM_SHARED 8
#define VM_MAYSHARE 0x80

static void read_facts(struct shmem_facts *facts, struct file *file, struct inode *inode) {
  facts->bytes = (u64)READ(inode, i_size);
  facts->pages = READ(inode, i_mapping, nrpages);
  facts->links = READ(inode, i_nlink);
  facts->magic = (u32)READ(inode, i_sb, s_magic);
  facts->seals = UNKNOWN_U32;
  if (facts->magic == TMPFS_MAGIC && bpf_core_field_exists(((struct shmem_inode_info *)0)->seals)) {
    facts->seals = READ(container_address(inode, struct shmem_inode_info, vfs_inode), seals);
  } else if (facts->magic == HUGETLBFS_MAGIC &&
             bpf_core_field_exists(((struct hugetlbfs_inode_info *)0)->seals)) {
    facts->seals = READ(container_address(inode, struct hugetlbfs_inode_info, vfs_inode), seals);
  }
  const u32 length = READ(file, f_path.dentry, d_name.len);
  facts->name_length = (u16)(length < SHMEM_NAME_MAX ? length : SHMEM_NAME_MAX);
  facts->reserved = 0;
  bpf_probe_read_kernel_str(facts->name, SHMEM_NAME_MAX, READ(file, f_path.dentry, d_name.name));
}

__noinline int shmem_describe(u64 address) {
  struct file *file = (struct file *)address;
  out.shmem.file.head.kind = RECORD_SHMEM;
  read_facts(&out.shmem.facts, file, READ(file, f_inode));
  return sizeof(struct shmem_record);
}

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
  struct mapping_record *record = &out.mapping;
  record->head.kind = RECORD_MAPPING;
  record->head.size = sizeof(struct mapping_record);
  record->head.pid = (u32)pid_number((u64)READ(task, thread_pid));
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
  return send_record(sizeof(struct mapping_record)) ? 1 : 0;
}

char LICENSE[] SEC("license") = "GPL";
