// SPDX-License-Identifier: GPL-2.0-or-later
/* An object of its own, so that it can be loaded beside the walk and is missed alone before 5.12.
 */
#include "count_references.h"
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
  const u64 task = (u64)ctx->task;
  const u64 mapping = (u64)ctx->vma;
  if (!task || !mapping ||
      GET_TRUSTED(task, task_struct, pid) != GET_TRUSTED(task, task_struct, tgid)) {
    return 0;
  }
  const u64 area = VIEW(mapping, vm_area_struct);
  const u64 flags = READ(area, vm_area_struct, flags);
  const u64 file = READ(area, vm_area_struct, file);
  if (!(flags & VM_MAYSHARE) || !file) {
    return 0;
  }
  const u64 inode = READ(file, file, inode);
  struct mapping_record *record = bpf_ringbuf_reserve(&mapping_records, sizeof *record, 0);
  if (!record) {
    return 1;
  }
  record->head.kind = RECORD_MAPPING;
  record->head.size = sizeof(struct mapping_record);
  record->head.pid = own_number(task);
  record->start = READ(area, vm_area_struct, start);
  record->end = READ(area, vm_area_struct, end);
  record->offset = READ(area, vm_area_struct, pgoff) * layout.page_size;
  record->object = (u64)inode;
  record->inode = READ(inode, inode, ino);
  record->device = READ(READ(inode, inode, sb), super_block, dev);
  record->flags = (flags & VM_READ ? MAPPING_READ : 0) | (flags & VM_WRITE ? MAPPING_WRITE : 0) |
                  (flags & VM_EXEC ? MAPPING_EXEC : 0) | MAPPING_SHARED;
  record->mode = READ(inode, inode, mode);
  record->uid = READ(inode, inode, uid);
  read_facts(&record->facts, file, inode);
  count_references(&record->references, number_of(file));
  /* A file on disk is a channel if somebody can write to it through a shared mapping. */
  const u32 magic = record->facts.magic;
  if (magic != TMPFS_MAGIC && magic != HUGETLBFS_MAGIC && HAS(address_space, writable) &&
      (s32)READ(READ(inode, inode, mapping), address_space, writable) <= 0) {
    record->references.file = 0;
  }
  bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
  return 0;
}

char LICENSE[] SEC("license") = "GPL";
