// SPDX-License-Identifier: GPL-2.0-or-later
/* What user space reads when it wants to: threads that wait now, and queues of messages. */
#include "lock_begin.h"

/** When measuring begins: threads that wait already. */
SEC("iter/task")
int seed_waits(struct bpf_iter__task *ctx) {
  struct task_struct *task = ctx->task;
  if (!lock_state.measuring) {
    const u64 self = bpf_get_current_task();
    lock_state.own_level = GET(GET(self, task_struct, thread_pid), pid, level);
    lock_state.epoch_begin = bpf_ktime_get_ns();
    lock_state.measuring = 1;
  }
  if (task && GET_TRUSTED(task, task_struct, pid) == GET_TRUSTED(task, task_struct, tgid)) {
    lock_state.processes++;
  }
  if (task && GET(task, task_struct, mm) && state_of(task)) {
    u64 now = 0;
    begin_wait(task, find_wait(task), &now, true);
  }
  return 0;
}

struct queue_look queue_looks[QUEUE_LOOKS];

/* struct rb_node: parent and colour, right, left. */
#define LEFT_IN_NODE 16
#define TREE_LEVELS 32

static __always_inline u64 first_message(u64 node) {
  const u64 list =
      ADDRESS(CONTAINER(node, posix_msg_tree_node, rb_node), posix_msg_tree_node, msg_list);
  const u64 first = read_word(list);
  return first == list ? 0 : first;
}

static __always_inline void look_at_posix_queue(struct queue_look *look) {
  const u64 queue = CONTAINER(look->address, mqueue_inode_info, vfs_inode);
  const u64 highest = GET_FAR(queue, mqueue_inode_info, rightmost);
  u64 lowest = GET_FAR(queue, mqueue_inode_info, tree);
  for (int i = 0; i < TREE_LEVELS && lowest; i++) {
    const u64 left = read_word(lowest + LEFT_IN_NODE);
    if (!left) {
      break;
    }
    lowest = left;
  }
  if (lowest) {
    look->oldest = first_message(lowest);
    look->other = highest != lowest ? first_message(highest) : 0;
  }
}

static __always_inline void look_at_sysv_queue(struct queue_look *look) {
  if (GET_FAR(look->address, kern_ipc_perm, id) != look->id) {
    return; /* removed */
  }
  const u64 list = ADDRESS(look->address, msg_queue, q_messages);
  const u64 oldest = read_word(list);
  if (oldest && oldest != list) {
    const u64 next = read_word(oldest);
    look->oldest = oldest;
    look->other = next != list ? next : 0;
  }
}

ONCE int look_at_queue(struct queue_look *look) {
  if (!look) {
    return 0;
  }
  look->oldest = 0;
  look->other = 0;
  if (look->address && look->is_posix) {
    look_at_posix_queue(look);
  } else if (look->address) {
    look_at_sysv_queue(look);
  }
  return 0;
}

/** Looks at the queues that user space has chosen; the threads do not matter. */
SEC("iter/task")
int look_at_queues(struct bpf_iter__task *ctx) {
  if (!ctx->task || ctx->meta->seq_num) {
    return 0;
  }
  for (u32 i = 0; i < QUEUE_LOOKS; i++) {
    look_at_queue(&queue_looks[i]);
  }
  return 1; /* so that the reader gets EAGAIN, and ends it */
}

struct lock_pending pending;

/** When it is read: threads that wait still. */
SEC("iter/task")
int pending_waits(struct bpf_iter__task *ctx) {
  struct task_struct *task = ctx->task;
  if (!task || !GET(task, task_struct, mm)) {
    return 0;
  }
  const struct lock_wait *wait = find_wait(task);
  if (!wait || (!wait->begin && !wait->kept)) {
    return 0;
  }
  struct call_registers call = {};
  const u64 regs = saved_registers(task);
  const bool waits_now = wait->begin && state_of(task) && read_number(regs, &call) &&
                         wait->sleeps == GET_TRUSTED(task, task_struct, nvcsw);
  if (!waits_now && !wait->kept) {
    return 0;
  }
  read_call(regs, &call);
  pending.wait = *wait;
  pending.pid = group_number(task);
  pending.tid = number(task);
  pending.call = (u32)call.number;
  pending.waits = waits_now;
  for (int i = 0; i < 6; i++) {
    pending.args[i] = call.args[i];
  }
  bpf_probe_read_kernel(pending.comm, sizeof pending.comm,
                        (void *)ADDRESS(task, task_struct, comm));
  bpf_seq_write(ctx->meta->seq, &pending, sizeof pending);
  return 0;
}
