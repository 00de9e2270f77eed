/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What several objects ask about a task. */
#ifndef IPCSCOPE_TASK_H
#define IPCSCOPE_TASK_H
#include "walk.h"

/** The number of a task in ipcscope's own PID namespace; 0 when it has none there. */
static __always_inline u32 own_number(u64 task) {
  const u64 self = bpf_get_current_task();
  const u64 level = READ(GET(self, task_struct, thread_pid), pid, level);
  const u64 pid = GET(task, task_struct, thread_pid);
  if (!pid || READ(pid, pid, level) < level) {
    return 0;
  }
  return (u32)read_word(ADDRESS(pid, pid, numbers) + level * UPID_SIZE);
}

/** The user registers of a task that is in the kernel. */
static __always_inline u64 saved_registers(struct task_struct *task) {
  if (HAS_HELPER(task_pt_regs)) {
    return (u64)bpf_task_pt_regs(task);
  }
  /* 5.10 to 5.14: the registers end where the stack ends. */
  return GET_TRUSTED(task, task_struct, stack) + STACK_SIZE - SIZE(pt_regs);
}

/** Of the call that a thread with these saved registers is in, as its word size numbers it. */
static __always_inline u64 call_number(u64 regs) {
#if defined(__TARGET_ARCH_x86)
  return GET_TRUSTED(regs, pt_regs, orig_ax);
#elif defined(__TARGET_ARCH_arm64)
  return (u64)(s64)(s32)GET_TRUSTED(regs, pt_regs, syscallno);
#endif
}

static __always_inline u64 first_argument(u64 regs) {
#if defined(__TARGET_ARCH_x86)
  return GET_TRUSTED(regs, pt_regs, di);
#elif defined(__TARGET_ARCH_arm64)
  return GET_TRUSTED(regs, pt_regs, orig_x0);
#endif
}

/**
 * All six. One by one: read at once into an array, the verifier of 6.1 goes through more than a
 * million instructions of what `locks` does at a context switch.
 */
static __always_inline void read_arguments(u64 regs, u64 *args) {
  args[0] = first_argument(regs);
#if defined(__TARGET_ARCH_x86)
  args[1] = GET_TRUSTED(regs, pt_regs, si);
  args[2] = GET_TRUSTED(regs, pt_regs, dx);
  args[3] = GET_TRUSTED(regs, pt_regs, r10);
  args[4] = GET_TRUSTED(regs, pt_regs, r8);
  args[5] = GET_TRUSTED(regs, pt_regs, r9);
#elif defined(__TARGET_ARCH_arm64)
  const u64 words = ADDRESS(regs, pt_regs, regs);
  args[1] = read_word(words + 8);
  args[2] = read_word(words + 16);
  args[3] = read_word(words + 24);
  args[4] = read_word(words + 32);
  args[5] = read_word(words + 40);
#endif
}

#endif
