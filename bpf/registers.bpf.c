// SPDX-License-Identifier: GPL-2.0-or-later
/* An object of its own: only who wants user stacks loads it. */
#include "registers.h"

#include "task.h"
#include "user_registers.h"

/** Whose threads are wanted, in ipcscope's own PID namespace. */
u32 wanted_group;
struct registers_record thread_registers;

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
  record->instruction = copy_registers(saved_registers(task), record->values);
  bpf_seq_write(ctx->meta->seq, record, sizeof *record);
  return 0;
}

char LICENSE[] SEC("license") = "GPL";
