/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared memory: open files on tmpfs or hugetlbfs, and shared mappings of any file. */
#ifndef IPCSCOPE_SHMEM_H
#define IPCSCOPE_SHMEM_H
#include "references.h"

#define SHMEM_NAME_MAX 64

/** What is known of the file's inode. */
struct shmem_facts {
  u64 bytes;       /* size of the file; UNKNOWN_U64 */
  u64 pages;       /* in the page cache, in base pages; UNKNOWN_U64 */
  u32 links;       /* 0: unlinked; UNKNOWN_U32 */
  u32 seals;       /* F_SEAL_*; UNKNOWN_U32 */
  u32 magic;       /* of the file system (statfs f_type); UNKNOWN_U32 */
  u16 name_length; /* bytes of name in use, cut at SHMEM_NAME_MAX */
  u16 reserved;
  char name[SHMEM_NAME_MAX]; /* last component: "memfd:x", "SYSV0000002a", "zero", "sem.x", ... */
};
RECORD_ASSERT(sizeof(struct shmem_facts) == 96, "shmem_facts");

/** A descriptor on a memfd, a POSIX object or any other tmpfs or hugetlbfs file. */
struct shmem_record {
  struct file_record file;
  struct shmem_facts facts;
};
RECORD_ASSERT(sizeof(struct shmem_record) == 152, "shmem_record");

#define MAPPING_READ 1
#define MAPPING_WRITE 2
#define MAPPING_EXEC 4
#define MAPPING_SHARED 8

/** A shared mapping (MAP_SHARED) of one process. */
struct mapping_record {
  struct record head;
  u64 start; /* user address */
  u64 end;
  u64 offset; /* into the file, bytes */
  u64 object; /* identity of the inode, the same as in file_record */
  u64 inode;
  u32 device;
  u32 flags; /* MAPPING_* */
  u32 mode;
  u32 uid;
  struct shmem_facts facts;
  struct references references;
};
RECORD_ASSERT(sizeof(struct mapping_record) == 192, "mapping_record");

#endif
