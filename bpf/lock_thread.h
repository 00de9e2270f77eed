/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is read of a thread: its numbers, its system call, its clock; and whether it counts. */
#ifndef IPCSCOPE_LOCK_THREAD_H
#define IPCSCOPE_LOCK_THREAD_H

#include "lock_state.h"
#include "task.h"
#include "walk.h"

#define PF_EXITING 4
#define USER_CODE_SEGMENT 0x33 /* arch/x86/include/asm/segment.h */
#define PSR_MODE32_BIT 0x10    /* arch/arm64/include/asm/ptrace.h */

static __always_inline struct task_struct *this_thread(void) {
#ifdef DIRECT_READS
  return bpf_get_current_task_btf();
#else
  if (HAS_HELPER(get_current_task_btf)) { /* 5.11; what asks for the registers wants its type */
    return bpf_get_current_task_btf();
  }
  return (struct task_struct *)bpf_get_current_task();
#endif
}

/** False for a thread of another word size, whose calls have other numbers. */
static __always_inline bool read_number(u64 regs, struct call_registers *call) {
#if defined(__TARGET_ARCH_x86)
  if (HAS(pt_regs, cs) && GET_TRUSTED(regs, pt_regs, cs) != USER_CODE_SEGMENT) {
    return false;
  }
  if (HAS(pt_regs, long_cs) &&
      (GET_TRUSTED(regs, pt_regs, long_cs) & 0xffff) != USER_CODE_SEGMENT) {
    return false;
  }
#elif defined(__TARGET_ARCH_arm64)
  if (GET_TRUSTED(regs, pt_regs, pstate) & PSR_MODE32_BIT) {
    return false;
  }
#endif
  call->number = call_number(regs);
  return call->number < LOCK_CALLS;
}

static __always_inline void read_call(u64 regs, struct call_registers *call) {
  call->args[6] = 0;
  call->args[7] = 0;
  read_arguments(regs, call->args);
}

/** The number that a struct pid has in ipcscope's PID namespace; 0 when it has none there. */
static __always_inline u32 number_here(u64 pid) {
  if (!pid || GET_FAR(pid, pid, level) < lock_state.own_level) {
    return 0;
  }
  return (u32)read_word(ADDRESS(pid, pid, numbers) + lock_state.own_level * UPID_SIZE);
}

/** That of a thread, and of its process. */
static __always_inline u32 number(struct task_struct *task) {
  if (!lock_state.own_level) { /* the usual case, and cheap */
    return GET_TRUSTED(task, task_struct, pid);
  }
  return number_here(GET_FAR(task, task_struct, thread_pid));
}

static __always_inline u32 group_number(struct task_struct *task) {
  if (!lock_state.own_level) {
    return GET_TRUSTED(task, task_struct, tgid);
  }
  return number_here(GET_FAR(GET_FAR(task, task_struct, group_leader), task_struct, thread_pid));
}

static __always_inline u32 far_group_number(u64 task) {
  if (!lock_state.own_level) {
    return GET_FAR(task, task_struct, tgid);
  }
  return number_here(GET_FAR(GET_FAR(task, task_struct, group_leader), task_struct, thread_pid));
}

static __always_inline bool listed(const u32 *list, u32 count, u32 wanted) {
  for (u32 i = 0; i < LOCK_FILTER_MAX; i++) {
    if (i < count && list[i] == wanted) {
      return true;
    }
  }
  return false;
}

/** Whether a thread's waits count. */
static __always_inline bool passes(struct task_struct *task, u32 pid) {
  if (!pid || pid == filter.self) {
    return false;
  }
  if (filter.pids && !listed(filter.pid, filter.pids, pid)) {
    return false;
  }
  if (filter.tids && !listed(filter.tid, filter.tids, number(task))) {
    return false;
  }
  if (filter.by_uid && GET(GET(task, task_struct, cred), cred, euid) != filter.uid) {
    return false;
  }
  if (filter.by_cgroup &&
      GET(GET(GET(GET(task, task_struct, cgroups), css_set, cgroup), cgroup, kn), kernfs_node,
          id) != filter.cgroup) {
    return false;
  }
  if (filter.comm_size) {
    char comm[16];
    bpf_probe_read_kernel(comm, sizeof comm, (void *)ADDRESS(task, task_struct, comm));
    for (u32 i = 0; i < sizeof comm && i < filter.comm_size; i++) {
      if (comm[i] != filter.comm[i]) {
        return false;
      }
    }
  }
  return true;
}

static __always_inline bool has_signal(struct task_struct *task) {
  const u64 shared = GET(GET(task, task_struct, signal), signal_struct, pending);
  const u64 pending = GET_TRUSTED(task, task_struct, pending);
  return ((pending | shared) & ~GET_TRUSTED(task, task_struct, blocked)) != 0;
}

static __always_inline u64 state_of(struct task_struct *task) {
  return HAS(task_struct, state) ? GET_TRUSTED(task, task_struct, state)
                                 : GET_TRUSTED(task, task_struct, long_state);
}

/**
 * The scheduler's clock of the CPU where a thread is switched in or out, in ns since some time: it
 * was read a moment ago. A fifth of what reading a clock costs; 0: there is none.
 *
 * When the thread was woken by the one that ran before it, it is the time of the wake-up.
 */
static __always_inline u64 scheduler_clock(struct task_struct *task) {
#ifdef DIRECT_READS
  if (filter.scheduler_clock && HAS(task_struct, cfs_rq) && HAS(cfs_rq, rq) && HAS(rq, clock)) {
    const u64 queue = GET(task, task_struct, cfs_rq);
    return GET(GET(queue, cfs_rq, rq), rq, clock);
  }
#endif
  return 0;
}

/**
 * The time of a switch, as CLOCK_MONOTONIC, for one of its two threads. Where a wait at a file is
 * measured with the scheduler's clock, what is between the two clocks was noted with the thread.
 */
static __always_inline u64 switch_time(struct task_struct *task, const struct lock_wait *wait,
                                       u64 *now) {
  if (wait->clock) {
    return scheduler_clock(task) + wait->clock;
  }
  if (!*now) {
    *now = bpf_ktime_get_ns();
  }
  return *now;
}

#endif
