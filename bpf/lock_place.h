/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a thread waits at: found by its system call, and known again. */
#ifndef IPCSCOPE_LOCK_PLACE_H
#define IPCSCOPE_LOCK_PLACE_H

#include "lock_thread.h"

#define FUTEX_COMMAND 0x7f
#define FUTEX_WAIT 0
#define FUTEX_WAKE 1
#define FUTEX_LOCK_PI 6
#define FUTEX_UNLOCK_PI 7
#define FUTEX_WAIT_BITSET 9
#define FUTEX_WAKE_BITSET 10
#define FUTEX_WAIT_REQUEUE_PI 11
#define FUTEX_LOCK_PI2 13
#define FUTEX_WAITERS 0x80000000
#define FUTEX_TID_MASK 0x3fffffff
#define F_SETLKW 7
#define F_OFD_SETLKW 38
#define S_IFMT 0170000
#define S_IFSOCK 0140000
#define S_IFREG 0100000
#define S_IFCHR 0020000
#define S_IFIFO 0010000
#define MQUEUE_MAGIC 0x19800202

/** What a file is of, when it is IPC; space of the sample is told, too. */
static __always_inline u64 file_object(u64 file, struct lock_value *sample) {
  const u64 inode = GET(file, file, inode);
  const u64 sb = GET(inode, inode, sb);
  const u64 magic = GET(sb, super_block, magic);
  const u32 mode = GET(inode, inode, mode);
  sample->file = file;
  sample->inode = GET(inode, inode, ino);
  sample->device = GET(sb, super_block, dev);
  sample->mode = mode;
  switch (mode & S_IFMT) {
    case S_IFIFO:
    case S_IFSOCK:
      return inode;
    case S_IFCHR:
      return GET(inode, inode, rdev) >> 20 ? inode : 0;
    case S_IFREG:
      return magic == MQUEUE_MAGIC ? inode : 0;
    default:
      /* Anonymous inodes share one inode, or have none of these types. */
      return magic == ANON_INODE_FS_MAGIC ? GET(file, file, private_data) : 0;
  }
}

static __always_inline u64 file_at(struct task_struct *task, u64 fd) {
  const u64 files = GET(task, task_struct, files);
  const u64 table = GET(files, files_struct, fdt);
  if (!table || fd >= GET(table, fdtable, max_fds)) {
    return 0;
  }
  return number_at(number_at((u64)table + OFFSET(fdtable, fd)) + 8 * (fd & 0xfffffff));
}

static __always_inline bool pipe_is_empty(u64 file) {
  const u64 pipe = GET(GET(file, file, inode), inode, pipe);
  return !pipe || GET(pipe, pipe_inode_info, head) == GET(pipe, pipe_inode_info, tail);
}

#define MSG_IDS 1
#define INDEX_BITS 15 /* of an identifier: IPCMNI_SHIFT, 24 with ipcmni_extend */
#define XARRAY_LEVELS 4

/** The System V queue with this identifier, in an xarray by index; 0 when it is not found. */
static __always_inline u64 find_queue(u64 spaces, u32 id) {
  const u64 ids = ADDRESS(spaces, ipc_namespace, ids) + MSG_IDS * (u64)SIZE(ipc_ids);
  u64 entry = GET_FAR(ids, ipc_ids, root);
  const u32 index = id & ((1 << INDEX_BITS) - 1);
  for (int i = 0; i < XARRAY_LEVELS && (entry & 3) == 2; i++) {
    const u64 node = entry - 2;
    const u32 slot = (index >> (GET_FAR(node, xa_node, shift) & 31)) & 63;
    entry = read_word(ADDRESS(node, xa_node, slots) + slot * 8);
  }
  return entry && GET_FAR(entry, kern_ipc_perm, id) == id ? entry : 0;
}

/** What a thread that is asleep, or about to be, waits at; 0 when that is no IPC. */
ONCE int find_key(struct lock_start *start) {
  if (!start) {
    return false;
  }
  struct task_struct *task = (struct task_struct *)VIEW(start->task, task_struct);
  const struct call_registers *call = &start->call;
  const struct lock_call *what = &lock_calls[call->number & (LOCK_CALLS - 1)];
  struct lock_key *key = &start->key;
  struct lock_value *sample = &start->lock;
  key->wait = what->wait;
  key->purpose = what->purpose;
  key->space = 0;
  key->object = 0;
  switch (what->wait) {
    case WAIT_AT_FUTEX: {
      const u32 command = call->args[1] & FUTEX_COMMAND;
      if (command != FUTEX_WAIT && command != FUTEX_WAIT_BITSET && command != FUTEX_LOCK_PI &&
          command != FUTEX_LOCK_PI2 && command != FUTEX_WAIT_REQUEUE_PI) {
        return false;
      }
      key->object = call->args[0];
      key->space = group_number(task);
      break;
    }
    case WAIT_AT_FUTEX2:
      key->wait = WAIT_AT_FUTEX;
      key->object = call->args[0];
      key->space = group_number(task);
      break;
    case WAIT_AT_FUTEXES: {
      u64 first[2] = {}; /* struct futex_waitv: value, address, flags */
      bpf_probe_read_user(first, sizeof first, (void *)call->args[0]);
      key->wait = WAIT_AT_FUTEX;
      key->object = first[1];
      key->space = group_number(task);
      break;
    }
    case WAIT_AT_SPLICE: {
      sample->fd = (s32)call->args[0];
      u64 file = file_at(task, call->args[0]);
      if (file && !pipe_is_empty(file)) {
        sample->fd = (s32)call->args[2];
        file = file_at(task, call->args[2]);
        key->purpose = LOCK_FOR_ROOM;
      }
      key->wait = WAIT_AT_FILE;
      key->object = file ? file_object(file, sample) : 0;
      key->space = (u32)sample->inode;
      break;
    }
    case WAIT_AT_FILE: {
      const u64 file = file_at(task, call->args[0]);
      sample->fd = (s32)call->args[0];
      key->object = file ? file_object(file, sample) : 0;
      key->space = (u32)sample->inode;
      break;
    }
    case WAIT_AT_SEM:
    case WAIT_AT_MSG:
      key->object = call->args[0] & 0xffffffff;
      key->space = GET(GET(GET(task, task_struct, nsproxy), nsproxy, ipc_ns), ipc_namespace, inum);
      if (what->wait == WAIT_AT_MSG) {
        sample->file = find_queue(GET_FAR(GET(task, task_struct, nsproxy), nsproxy, ipc_ns),
                                  (u32)call->args[0]);
      }
      return true; /* 0 is an id */
    case WAIT_AT_FCNTL:
      if (call->args[1] != F_SETLKW && call->args[1] != F_OFD_SETLKW) {
        return false;
      }
      /* fallthrough */
    case WAIT_AT_FLOCK: {
      const u64 file = file_at(task, call->args[0]);
      sample->fd = (s32)call->args[0];
      if (file) {
        file_object(file, sample);
        key->object = GET(file, file, inode);
        key->space = (u32)sample->inode;
      }
      break;
    }
  }
  return key->object != 0;
}

static __always_inline bool has_limit(const struct lock_call *what,
                                      const struct call_registers *call) {
  if (!what->limit) {
    return false;
  }
  u32 place = what->limit - 1;
  barrier_var(place); /* so that every verifier sees the bound: it knows what a mask leaves */
  const u64 limit = call->args[place & (CALL_ARGUMENTS - 1)];
  return what->limit_ms ? (s32)limit >= 0 : limit != 0;
}

/**
 * Whether a thread waits in the same call at the same file, or System V queue, as the last time.
 * Another file may come to the same address.
 */
static __always_inline bool is_same_file(struct task_struct *task, const struct lock_call *what,
                                         u64 first_argument, const struct lock_wait *wait) {
  const u64 file = wait->file;
  if (!file) {
    return false;
  }
  if (what->wait == WAIT_AT_FILE) {
    return file == file_at(task, first_argument) &&
           (wait->by_data ? GET(file, file, private_data) == wait->key.object
                          : (u32)GET(GET(file, file, inode), inode, ino) == wait->key.space);
  }
  if (what->wait == WAIT_AT_MSG) {
    const u64 spaces = GET(GET(task, task_struct, nsproxy), nsproxy, ipc_ns);
    return (u32)first_argument == wait->key.object &&
           GET(spaces, ipc_namespace, inum) == wait->key.space;
  }
  return false;
}

#endif
