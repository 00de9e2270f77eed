// SPDX-License-Identifier: GPL-2.0-or-later
#include "walk.h"

#define LOCKS_MAX 65536 /* of one kind on one file */

#define FL_POSIX 1
#define FL_FLOCK 2
#define FL_LEASE 32
#define FL_UNLOCK_PENDING 512
#define FL_DOWNGRADE_PENDING 256
#define FL_OFDLCK 1024

#define WAITERS_MAX 16

/** Requests that this lock blocks; UNKNOWN_U32 when there are more than the loop counts. */
static u32 blocked_by(u64 address) {
  u64 at = next_entry(address);
  for (u32 i = 0; i < WAITERS_MAX; i++) {
    if (at == address || !at) {
      return i;
    }
    at = next_entry(at);
  }
  return UNKNOWN_U32;
}

/* For send_lock(): whose lock it is. Two structs have these members. */
#define READ_HOLDER(structure, address)                                          \
  do {                                                                           \
    const u64 view = VIEW(address, structure);                                   \
    owner = number_of(READ(view, structure, owner));                             \
    holder = number_of(READ(view, structure, file));                             \
    flags = READ(view, structure, flags);                                        \
    record->type = READ(view, structure, type);                                  \
    record->owner = (s32)READ(view, structure, pid);                             \
    record->waiters = blocked_by(ADDRESS(address, structure, blocked_requests)); \
  } while (0)

/** Sends the lock at this list entry when the file in out is what holds it. */
STEP_FUNCTION int send_lock(u64 entry, u64 file) {
  struct lock_record *record = &out.lock;
  u64 owner = 0;
  u64 holder = 0;
  u32 flags = 0;
  u64 lock = 0;
  if (HAS(file_lock, core)) { /* 6.9 */
    const u64 core = CONTAINER(entry, file_lock_core, list);
    READ_HOLDER(file_lock_core, core);
    lock = VIEW(CONTAINER(core, file_lock, core), file_lock);
  } else {
    lock = VIEW(CONTAINER(entry, file_lock, list), file_lock);
    READ_HOLDER(file_lock, lock);
  }
  record->start = READ(lock, file_lock, start);
  record->end = READ(lock, file_lock, end);
  if (flags & FL_OFDLCK) {
    record->flavour = LOCK_OFD;
  } else if (flags & FL_POSIX) {
    record->flavour = LOCK_POSIX;
  } else if (flags & FL_FLOCK) {
    record->flavour = LOCK_FLOCK;
  } else {
    record->flavour = LOCK_LEASE;
    record->start = 0;
    record->end = 0x7fffffffffffffffULL;
    if (flags & (FL_UNLOCK_PENDING | FL_DOWNGRADE_PENDING)) {
      record->type = 2;
    }
  }
  if (record->end == 0x7fffffffffffffffULL) { /* OFFSET_MAX */
    record->end = UNKNOWN_U64;
  }
  /* A classic lock belongs to the descriptor table, every other one to the open description. */
  const int is_ours = record->flavour == LOCK_POSIX ? owner == current_files : holder == file;
  if (!is_ours) {
    return 0;
  }
  record->file.head.kind = RECORD_LOCK;
  record->file.head.size = sizeof(struct lock_record);
  return send_record(sizeof(struct lock_record));
}

u64 lock_at;
u32 locks_ring_full; /* not static: the compiler would shrink it to a byte, against its BTF */

struct lock_list locks;

static long send_next_lock(u32 round, void *context) {
  if (lock_at == locks.list || !lock_at) {
    return 1;
  }
  if (send_lock(lock_at, locks.file)) {
    locks_ring_full = 1;
    return 1;
  }
  lock_at = next_entry(lock_at);
  return 0;
}

__noinline int send_locks(u64 list, u64 file) {
  lock_at = next_entry(list);
  if (lock_at == list) {
    return 0;
  }
  locks_ring_full = 0;
  locks.list = list;
  locks.file = file;
  repeat(LOCKS_MAX, send_next_lock);
  if (!locks_ring_full && lock_at && lock_at != list) {
    items_lost++;
  }
  return locks_ring_full != 0;
}
