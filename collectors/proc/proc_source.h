// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <unordered_map>

#include "collectors/base/proc_root.h"
#include "collectors/source.h"

namespace ipcscope {

/// The source for kernels and users without BPF: /proc, sock_diag and kcmp. Targets are never
/// stopped, and none of their files is opened; inodes are looked at only on memory file systems and
/// local disks. What a process of another user hides stays unknown and is counted in the coverage:
/// such a process gets no fd_count_record.
///
/// Coverage: "proc-task", "proc-fd", "sock-diag", "proc-maps".
class ProcSource final : public Source {
 public:
  explicit ProcSource(const ProcRoot& root) : root_(root) {}
  /// Records come in the order of process ids, last those of sockets that no process was seen to
  /// have (pid 0, fd -1) and of locks whose holder cannot be looked into (fd -1).
  Result<void> walk(const Request& request, const RecordSink& sink,
                    std::vector<Coverage>& coverage) override;
  /// One process for each address space. After walk(), processes that share memory are known.
  Result<void> mappings(const Request& request, const RecordSink& sink,
                        std::vector<Coverage>& coverage) override;

 private:
  struct Known {
    uint64_t memory = 0;
    uint32_t mnt_ns = UNKNOWN_U32;
    uint32_t ipc_ns = UNKNOWN_U32;
  };
  const ProcRoot& root_;
  std::unordered_map<int, Known> known_;  // by pid, from walk()
};

}  // namespace ipcscope
