/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The filters that are about the current task. Kernel side only. */
#ifndef IPCSCOPE_TRACE_TASK_H
#define IPCSCOPE_TRACE_TASK_H
#include "trace_state.h"

/* Process numbers in ipcscope's namespace. Its size is set by user space. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 1);
  __type(key, u32);
  __type(value, u8);
} trace_pids SEC(".maps");

/** The number of a task's process in ipcscope's namespace; group: in the first one. */
static __always_inline u32 own_pid(u64 task, u32 group) {
  return counters.level ? own_number(GET_NUMBER(GET_NUMBER(task, task_struct, group_leader),
                                                task_struct, thread_pid))
                        : group;
}

static __always_inline bool is_wanted_pid(u64 task, u32 group) {
  if (!filter.by_pid) {
    return true;
  }
  const u32 pid = own_pid(task, group);
  return bpf_map_lookup_elem(&trace_pids, &pid) != NULL;
}

static __always_inline bool is_wanted_task(u64 task, u64 pid_tgid) {
  const u32 group = pid_tgid >> 32;
  if (group == counters.own_group || !is_wanted_pid(task, group)) {
    return false;
  }
  if (filter.tid) {
    const u32 tid =
        counters.level ? own_number(GET_NUMBER(task, task_struct, thread_pid)) : (u32)pid_tgid;
    if (tid != filter.tid) {
      return false;
    }
  }
  if (filter.uid != UNKNOWN_U32 && GET(GET(task, task_struct, cred), cred, euid) != filter.uid) {
    return false;
  }
  if (filter.comm_set) {
    const u64 comm[2] = {number_at(task + OFFSET(task_struct, comm)),
                         number_at(task + OFFSET(task_struct, comm) + 8)};
    const u64 *wanted = (const u64 *)filter.comm;
    /* Behind the NUL may be what is left of a longer name. */
    const u64 first_end = (comm[0] - 0x0101010101010101ULL) & ~comm[0] & 0x8080808080808080ULL;
    if (first_end) {
      const u64 mask = ((first_end & -first_end) >> 7) * 0x100 - 1;
      return (comm[0] & mask) == (wanted[0] & mask) && !(wanted[0] & ~mask);
    }
    const u64 second_end = (comm[1] - 0x0101010101010101ULL) & ~comm[1] & 0x8080808080808080ULL;
    const u64 mask = second_end ? ((second_end & -second_end) >> 7) * 0x100 - 1 : ~0ULL;
    if (comm[0] != wanted[0] || (comm[1] & mask) != (wanted[1] & mask)) {
      return false;
    }
  }
  if (filter.cgroup &&
      bpf_get_current_ancestor_cgroup_id((int)filter.cgroup_level) != filter.cgroup) {
    return false;
  }
  return true;
}

#endif
