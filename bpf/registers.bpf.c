// SPDX-License-Identifier: GPL-2.0-or-later
/* An object of its own: only who wants user stacks loads it. */
#include "registers.h"

#include "task.h"

/** Whose threads are wanted, in ipcscope's own PID namespace. */
u32 wanted_group;
struct registers_record thread_registers;

static void copy_registers(u64 regs, u64 *values) {
#if defined(__TARGET_ARCH_x86)
  values[0] = GET_FAR(regs, pt_regs, ax);
  values[1] = GET_FAR(regs, pt_regs, dx);
  values[2] = GET_FAR(regs, pt_regs, cx);
  values[3] = GET_FAR(regs, pt_regs, bx);
  values[4] = GET_FAR(regs, pt_regs, si);
  values[5] = GET_FAR(regs, pt_regs, di);
  values[6] = GET_FAR(regs, pt_regs, bp);
  values[7] = GET_FAR(regs, pt_regs, sp);
  values[8] = GET_FAR(regs, pt_regs, r8);
  values[9] = GET_FAR(regs, pt_regs, r9);
  values[10] = GET_FAR(regs, pt_regs, r10);
  values[11] = GET_FAR(regs, pt_regs, r11);
  values[12] = GET_FAR(regs, pt_regs, r12);
  values[13] = GET_FAR(regs, pt_regs, r13);
  values[14] = GET_FAR(regs, pt_regs, r14);
  values[15] = GET_FAR(regs, pt_regs, r15);
  values[16] = GET_FAR(regs, pt_regs, ip);
  thread_registers.instruction = values[16];
#elif defined(__TARGET_ARCH_arm64)
  /* x0 to x30 begin the struct, sp and pc follow (arch/arm64/include/asm/ptrace.h). */
  bpf_probe_read_kernel(values, REGISTERS * sizeof(u64), (const void *)regs);
  thread_registers.instruction = GET_FAR(regs, pt_regs, pc);
#endif
}

/**
 * Every thread of one process. Since 6.1 the link visits no other (bpf_iter_link_info task.pid);
 * before, they are skipped here.
 */
SEC("iter/task")
int registers(struct bpf_iter__task *ctx) {
  struct task_struct *task = ctx->task;
  if (!task || !GET(task, task_struct, mm) ||
      own_number(GET(task, task_struct, group_leader)) != wanted_group) {
    return 0;
  }
  const u64 state =
      HAS(task_struct, state) ? GET(task, task_struct, state) : GET(task, task_struct, long_state);
  struct registers_record *record = &thread_registers;
  record->tid = own_number((u64)task);
  record->running = state == 0;
  record->switches = GET(task, task_struct, nvcsw) + GET(task, task_struct, nivcsw);
  copy_registers(saved_registers(task), record->values);
  bpf_seq_write(ctx->meta->seq, record, sizeof *record);
  return 0;
}

char LICENSE[] SEC("license") = "GPL";
