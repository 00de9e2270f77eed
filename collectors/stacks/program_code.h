// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <memory>
#include <span>
#include <string>

#include "collectors/stacks.h"
#include "collectors/stacks/registers.h"

namespace ipcscope {

/// The problem of a stack whose thread ran while it was read.
inline constexpr std::string_view moved_meanwhile = "moved meanwhile";

/// What elfutils knows about the programs and libraries in one process: the only place that uses
/// libdwfl.
class ProgramCode {
 public:
  /// tid: any thread of the process that still has its memory.
  static Result<std::unique_ptr<ProgramCode>> open(const ProcRoot& proc, int tid);
  ~ProgramCode();
  ProgramCode(const ProgramCode&) = delete;
  ProgramCode& operator=(const ProgramCode&) = delete;

  void forget_memory();
  /// As AddressSpace::lay_over().
  void lay_over(uint64_t address, std::span<const char> bytes);
  /// Reads the ends of these threads' stacks with few system calls.
  void prefetch_stacks(std::span<const ThreadRegisters> threads);
  /// The addresses of a thread's frames, without their names.
  void unwind(const ThreadRegisters& thread, size_t frames,
              std::chrono::steady_clock::time_point deadline, UserStack& stack);
  /// Objects, functions and lines, until the deadline.
  void name_frames(UserStack& stack, std::chrono::steady_clock::time_point deadline);
  /// As StackReader::name_of_address().
  std::string name(uint64_t address);

 private:
  class State;
  explicit ProgramCode(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace ipcscope
