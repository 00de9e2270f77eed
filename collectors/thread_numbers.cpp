// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/thread_numbers.h"

namespace ipcscope {

ThreadIndex ThreadNumbers::find(uint32_t pid_ns, uint64_t number) {
  if (number == 0 || number > INT32_MAX) {
    return no_index;
  }
  if (pid_ns == assembly_.own_pid_ns) {
    return assembly_.thread(static_cast<uint32_t>(number));
  }
  const Snapshot& snapshot = assembly_.builder.snapshot();
  const auto key = [](uint32_t name_space, uint64_t own) {
    return uint64_t{name_space} << 32 | own;
  };
  if (!indexed_) {
    indexed_ = true;
    for (ThreadIndex i = 0; i < snapshot.threads.size(); i++) {
      const Thread& thread = snapshot.threads[i];
      const uint32_t lives_in = snapshot.processes[thread.process].pid_ns;
      if (lives_in != assembly_.own_pid_ns && thread.ns_tid > 0) {
        bool is_new = false;
        foreign_.slot(key(lives_in, static_cast<uint64_t>(thread.ns_tid)), is_new) = i;
      }
    }
  }
  return foreign_.find(key(pid_ns, number));
}

}  // namespace ipcscope
