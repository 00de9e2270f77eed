// SPDX-License-Identifier: GPL-2.0-or-later
/* An object of its own: only who wants user stacks loads it. */
#include "registers.h"

#include "task.h"

/** Whose threads are wanted, in ipcscope's own PID namespace. */
u32 wanted_group;
struct registers_record thread_registers;

static void copy_registers(struct pt_regs *regs, u64 *values) {
#if defined(__TARGET_ARCH_x86)
  values[0] = READ(regs, ax);
  values[1] = READ(regs, dx);
  values[2] = READ(regs, cx);
  values[3] = READ(regs, bx);
  values[4] = READ(regs, si);
  values[5] = READ(regs, di);
  values[6] = READ(regs, bp);
  values[7] = READ(regs, sp);
  values[8] = READ(regs, r8);
  values[9] = READ(regs, r9);
  values[10] = READ(regs, r10);
  values[11] = READ(regs, r11);
  values[12] = READ(regs, r12);
  values[13] = READ(regs, r13);
  values[14] = READ(regs, r14);
  values[15] = READ(regs, r15);
  values[16] = READ(regs, ip);
  thread_registers.instruction = values[16];
#elif defined(__TARGET_ARCH_arm64)
  /* x0 to x30 begin the struct, sp and pc follow (arch/arm64/include/asm/ptrace.h). */
  bpf_probe_read_kernel(values, REGISTERS * sizeof(u64), regs);
  thread_registers.instruction = READ(regs, pc);
#endif
}

/**
 * Every thread of one process. Since 6.1 the link visits no other (bpf_iter_link_info task.pid);
 * before, they are skipped here.
 */
SEC("iter/task")
int registers(struct bpf_iter__task *ctx) {
  struct task_struct *task = ctx->task;
  if (!task || !READ(task, mm) || own_number(READ(task, group_leader)) != wanted_group) {
    return 0;
  }
  u32 state = 0;
  if (bpf_core_field_exists(task->__state)) {
    state = READ(task, __state);
  } else {
    state = (u32)READ((struct task_struct___5_10 *)task, state);
  }
  struct registers_record *record = &thread_registers;
  record->tid = own_number(task);
  record->running = state == 0;
  record->switches = READ(task, nvcsw) + READ(task, nivcsw);
  copy_registers(saved_registers(task), record->values);
  bpf_seq_write(ctx->meta->seq, record, sizeof *record);
  return 0;
}

char LICENSE[] SEC("license") = "GPL";
