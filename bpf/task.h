/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What several objects ask about a task. */
#ifndef IPCSCOPE_TASK_H
#define IPCSCOPE_TASK_H
#include "walk.h"

/** The number of a task in ipcscope's own PID namespace; 0 when it has none there. */
static __always_inline u32 own_number(struct task_struct *task) {
  struct task_struct *self = (struct task_struct *)bpf_get_current_task();
  const u64 level = READ(self, thread_pid, level);
  struct pid *pid = READ(task, thread_pid);
  if (!pid || READ(pid, level) < level) {
    return 0;
  }
  return (u32)read_word((u64)pid + bpf_core_field_offset(struct pid, numbers) + level * UPID_SIZE);
}

/** The user registers of a task that is in the kernel. */
static __always_inline struct pt_regs *saved_registers(struct task_struct *task) {
  if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs)) {
    return (struct pt_regs *)bpf_task_pt_regs(task);
  }
  /* 5.10 to 5.14: the registers end where the stack of 16 KiB ends. */
  void *stack = READ(task, stack);
  return (struct pt_regs *)((u64)stack + 16384 - bpf_core_type_size(struct pt_regs));
}

#endif
