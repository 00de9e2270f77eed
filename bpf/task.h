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
  return GET(task, task_struct, stack) + STACK_SIZE - SIZE(pt_regs);
}

#endif
