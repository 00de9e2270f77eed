// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "collectors/base/fd.h"
#include "collectors/base/proc_root.h"
#include "collectors/base/result.h"
#include "collectors/locks/deep_functions.h"
#include "collectors/locks/lock_program.h"

namespace ipcscope {

/// The probes of `locks --deep`: at glibc's functions for locks, in chosen processes. Breakpoints
/// are put into the memory of these alone: no other process that has the same library comes by
/// them. They go away with this object, or with ipcscope, however it ends.
class DeepProbes {
 public:
  /// Probes all threads of these processes, those to come as well; not those of their children.
  /// Fails when one of them has no glibc of its own or shared (musl, a program without a C
  /// library), when it may not be probed (EPERM, EACCES), or has ended.
  Result<void> attach(const ProcRoot& proc, std::span<const pid_t> pids,
                      const deep_program& program);
  /// The kernel needs a tenth of a second, for each of them that is attached alone.
  void detach() { probes_.clear(); }

  /// Whether the probes of these processes can be attached together: DEEP_ALL_TOGETHER. A process
  /// whose first thread has ended is known to the kernel by another one then.
  static bool can_attach_together(const ProcRoot& proc, std::span<const pid_t> pids);
  /// Attaches a probe in that way to this process, and has it see a call: 0, or an errno, which is
  /// EOPNOTSUPP where the kernel is too old.
  static int try_together();

  [[nodiscard]] uint32_t count() const { return count_; }
  /// Of these, at instructions that the kernel does not emulate.
  [[nodiscard]] uint32_t stepped() const { return stepped_; }

  /// What one call costs through a probe, in ns: tried in this process, in a few milliseconds.
  struct Cost {
    std::optional<uint64_t> emulated, stepped;
  };
  Cost measure_cost(const deep_program& program);

 private:
  Result<void> attach_to(const ProcRoot& proc, pid_t pid, const deep_program& program);
  Result<void> attach_all(const char* path, std::span<const DeepFunction> functions, pid_t thread,
                          const deep_program& program);
  Result<void> attach_one(const char* path, const DeepFunction& function, pid_t thread,
                          const deep_program& program);

  std::vector<Fd> probes_;  ///< links, or events
  uint32_t count_ = 0, stepped_ = 0;
};

}  // namespace ipcscope
