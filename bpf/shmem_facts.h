/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is read of the inode behind a shared memory file or mapping. */
#ifndef IPCSCOPE_SHMEM_FACTS_H
#define IPCSCOPE_SHMEM_FACTS_H

#include "walk.h"

#define TMPFS_MAGIC 0x01021994
#define HUGETLBFS_MAGIC 0x958458f6

static __always_inline void read_facts(struct shmem_facts *facts, struct file *file,
                                       struct inode *inode) {
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

#endif
