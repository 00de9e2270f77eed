/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IPCSCOPE_FILELOCK_H
#define IPCSCOPE_FILELOCK_H
#include "record.h"

#define LOCK_POSIX 1
#define LOCK_FLOCK 2
#define LOCK_OFD 4
#define LOCK_LEASE 8

/** One lock that one descriptor's open file description (POSIX: its process) holds. */
struct lock_record {
  struct file_record file; /* holder; fd < 0 when only the process is known */
  u64 start;               /* bytes */
  u64 end;                 /* inclusive; UNKNOWN_U64 = to the end of the file */
  u32 flavour;             /* LOCK_* */
  u32 type;                /* F_RDLCK 0, F_WRLCK 1, F_UNLCK 2 (a lease that is being broken) */
  s32 owner;               /* pid that took it, as the kernel tells; -1 for OFD */
  u32 waiters;             /* requests blocked by it; UNKNOWN_U32 */
};
RECORD_ASSERT(sizeof(struct lock_record) == 88, "lock_record");

#endif
