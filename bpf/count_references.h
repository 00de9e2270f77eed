/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IPCSCOPE_COUNT_REFERENCES_H
#define IPCSCOPE_COUNT_REFERENCES_H

#include "references.h"
#include "walk.h"

#define TMPFS_MAGIC 0x01021994
#define HUGETLBFS_MAGIC 0x958458f6
#define MQUEUE_MAGIC 0x19800202

/**
 * The open file descriptions of a dentry: each holds a reference on it (do_dentry_open and
 * alloc_file_pseudo, fs/). These file systems keep one for the name, as long as it is there
 * (simple_link, shmem_mknod, mqueue_create_attr). A second name is a second dentry, which holds the
 * inode; all anonymous inodes are one, but nothing but its own dentry leads to an anonymous file.
 */
static __always_inline u32 count_openings(u64 dentry, u64 inode, u64 magic) {
  if (!HAS(dentry, count) || !HAS(dentry, hashed) || !HAS(inode, count)) {
    return UNKNOWN_U32;
  }
  if (magic != ANON_INODE_FS_MAGIC && READ(inode, inode, count) != 1) {
    return UNKNOWN_U32;
  }
  const int is_kept = magic == TMPFS_MAGIC || magic == HUGETLBFS_MAGIC || magic == MQUEUE_MAGIC;
  return READ(dentry, dentry, count) - (is_kept && READ(dentry, dentry, hashed) ? 1 : 0);
}

static __always_inline void count_references(struct references *to, u64 address) {
  const u64 file = VIEW(address, file);
  const u64 inode = READ(file, file, inode);
  const u64 dentry = READ(file, file, dentry);
  to->file = address;
  to->credentials = HAS(file, cred) ? (u64)READ(file, file, cred) : 0;
  to->object = dentry;
  to->count = UNKNOWN_U32;
  if (HAS(file, ref)) {
    to->count = (u32)READ(file, file, ref) + 1;
  } else if (HAS(file, count)) {
    to->count = (u32)READ(file, file, count);
  }
  to->openings = count_openings(dentry, inode, READ(READ(inode, inode, sb), super_block, magic));
}

#endif
