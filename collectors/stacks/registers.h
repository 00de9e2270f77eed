// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "bpf/registers.h"
#include "collectors/base/proc_root.h"
#include "collectors/base/result.h"
#include "collectors/bpf_programs.h"

namespace ipcscope {

/// The user registers of one thread that is in the kernel.
struct ThreadRegisters {
  enum class Known : uint8_t {
    nothing,       ///< it is running, or may not be looked at
    stack_and_pc,  ///< from /proc/PID/task/TID/syscall
    all,           ///< from the BPF iterator
  };
  int tid = 0;
  Known known = Known::nothing;
  bool running = false;
  uint64_t switches = 0;  ///< context switches so far: equal in two looks when it slept in between
  uint64_t instruction = 0;
  std::array<uint64_t, REGISTERS> values{};  ///< as DWARF numbers them
  [[nodiscard]] uint64_t stack() const;
  /// Whether the thread has not run between two looks.
  [[nodiscard]] bool slept_until(const ThreadRegisters& later) const;
};

/// Reads registers: through BPF where that works, else what /proc tells. Loads its program at the
/// first use and keeps it.
class RegisterReader {
 public:
  /// use_bpf: false for /proc alone.
  RegisterReader(const ProcRoot& proc, bool use_bpf) : proc_(proc), use_bpf_(use_bpf) {}
  RegisterReader(const RegisterReader&) = delete;
  RegisterReader& operator=(const RegisterReader&) = delete;
  ~RegisterReader();

  /// The registers of these threads of a process, one for each of them in their order.
  std::vector<ThreadRegisters> read(int pid, std::span<const int> tids);

 private:
  bool load();
  Result<std::vector<registers_record>> iterate(int pid) const;
  ThreadRegisters from_proc(int pid, int tid) const;

  const ProcRoot& proc_;
  bool use_bpf_;
  registers_program program_{};
};

}  // namespace ipcscope
