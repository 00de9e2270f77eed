// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <vector>

#include "collectors/base/proc_root.h"
#include "collectors/bpf_loading.h"
#include "collectors/model/leftovers.h"

namespace ipcscope {

/// Undo structures and blocked threads of every System V set and queue of the snapshot, from BPF.
/// Coverage: "bpf-sysv".
class SysvWaiters {
 public:
  /// Walks the host's IPC namespaces; touches neither a snapshot nor another namespace, so it may
  /// run beside other work. Needs what open_bpf_source() needs.
  /// loading: bits of bpf_loading.
  void collect(unsigned loading = BPF_LOADING_BEST);
  /// Fills undos and blocked of the sets and queues of snapshot. own_ipc_ns: inode number.
  void join(const Snapshot& snapshot, uint32_t own_ipc_ns, Leftovers& leftovers,
            std::vector<Coverage>& coverage) const;

 private:
  struct Waiters {
    uint32_t name_space = 0;
    uint32_t kind = 0;
    int32_t id = 0;
    uint32_t undos = 0, blocked = 0;
  };
  friend int take_waiters(void* context, void* data, size_t size) noexcept;

  std::vector<Waiters> found_;
  uint64_t lost_ = 0;
  int error_ = 0;  ///< errno when BPF could not be had
};

}  // namespace ipcscope
