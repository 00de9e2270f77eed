/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One thread: identity, what it is blocked in and since when. */
#ifndef IPCSCOPE_THREAD_H
#define IPCSCOPE_THREAD_H
#include "record.h"

/* state: the letters of /proc/PID/stat as ASCII (R S D T t Z X I P). */
struct thread_record {
  struct record head;
  u32 tid;
  u32 ppid;
  u32 ns_pid; /* in its own innermost PID namespace */
  u32 ns_tid;
  u32 uid; /* effective, in ipcscope's user namespace */
  u32 state;
  u64 start_ns;    /* boot time clock; /proc gives it in clock ticks of 10 ms */
  s64 syscall;     /* number while in a system call, else -1; UNKNOWN as -2 */
  u64 args[6];     /* as passed, valid when syscall >= 0 */
  u64 stack;       /* user stack pointer, 0 when not in a system call */
  u64 instruction; /* user instruction pointer */
  u64 blocked_ns;  /* for how long off the CPU, at least; UNKNOWN_U64 */
  u64 last_run_ns; /* how long ago its last run began: the wait is not longer; UNKNOWN_U64 */
  u64 switches;    /* voluntary + involuntary; UNKNOWN_U64 */
  u64 mm;          /* identity of the address space; 0 for kernel threads */
  u64 files;       /* identity of the descriptor table */
  u64 credentials; /* identity; what it opens remembers them */
  u32 pid_ns;      /* inode numbers of the namespaces; UNKNOWN_U32 */
  u32 ipc_ns;
  u32 net_ns;
  u32 mnt_ns;
  u32 tracer; /* pid of the ptracer, 0 when none */
  u32 reserved;
  char comm[16];
};
RECORD_ASSERT(sizeof(struct thread_record) == 200, "thread_record");

/** Comes after the files of a process; absent when they could not be read. */
struct fd_count_record {
  struct record head;
  u32 count; /* open descriptors of any kind */
  u32 reserved;
};
RECORD_ASSERT(sizeof(struct fd_count_record) == 16, "fd_count_record");

#endif
