/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is read of the inode behind a shared memory file or mapping. */
#ifndef IPCSCOPE_SHMEM_FACTS_H
#define IPCSCOPE_SHMEM_FACTS_H

#include "walk.h"

#define TMPFS_MAGIC 0x01021994
#define HUGETLBFS_MAGIC 0x958458f6

/** file and inode: views. */
static __always_inline void read_facts(struct shmem_facts *facts, u64 file, u64 inode) {
  facts->bytes = (u64)READ(inode, inode, size);
  facts->pages = READ(READ(inode, inode, mapping), address_space, nrpages);
  facts->links = READ(inode, inode, nlink);
  facts->magic = (u32)READ(READ(inode, inode, sb), super_block, magic);
  facts->seals = UNKNOWN_U32;
  if (facts->magic == TMPFS_MAGIC && HAS(shmem_inode_info, seals)) {
    facts->seals = GET(CONTAINER(inode, shmem_inode_info, vfs_inode), shmem_inode_info, seals);
  } else if (facts->magic == HUGETLBFS_MAGIC && HAS(hugetlbfs_inode_info, seals)) {
    facts->seals =
        GET(CONTAINER(inode, hugetlbfs_inode_info, vfs_inode), hugetlbfs_inode_info, seals);
  }
  const u64 dentry = READ(file, file, dentry);
  const u32 length = READ(dentry, dentry, name_length);
  facts->name_length = (u16)(length < SHMEM_NAME_MAX ? length : SHMEM_NAME_MAX);
  facts->reserved = 0;
  bpf_probe_read_kernel_str(facts->name, SHMEM_NAME_MAX, (void *)READ(dentry, dentry, name));
}

#endif
