// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "collectors/base/proc_root.h"
#include "collectors/base/result.h"

namespace ipcscope {

/// One function of a user stack.
struct Frame {
  uint64_t address = 0;        ///< of the next instruction: behind the call
  std::string function;        ///< demangled; empty when no symbol covers it
  uint64_t offset = 0;         ///< of address in function
  std::string object;          ///< path of the mapping as the process sees it; "[vdso]"
  uint64_t object_offset = 0;  ///< of address as the object numbers it: what addr2line takes
  std::string file;            ///< source; empty where the object has no line information in itself
  int line = 0;
};

/// The stack of one thread, innermost function first.
struct UserStack {
  int tid = 0;
  std::vector<Frame> frames;
  bool complete = false;  ///< down to where the thread began, and it did not run meanwhile
  std::string problem;    ///< why it is not complete
};

/// A thread as it was at some moment, copied when it was there.
struct StackCopy {
  int tid = 0;
  uint64_t instruction = 0;
  std::span<const uint64_t> registers;  ///< as DWARF numbers them; all of them
  uint64_t address = 0;                 ///< where the copied part of the stack begins
  std::span<const char> bytes;
};

struct StackLimits {
  size_t frames = 64;    ///< of one thread
  size_t threads = 256;  ///< of one process; those beyond it get a stack without frames
  std::chrono::milliseconds time{2000};  ///< for one process
  bool use_bpf = true;  ///< false: registers from /proc alone, which tells two of them
};

/// Looks into processes while they go on: registers from BPF or /proc, memory through
/// process_vm_readv(), unwinding by the tables in the programs' files. Nothing is stopped or
/// traced. Needs the right to trace the process (PTRACE_MODE_ATTACH). Files on network file systems
/// are not opened, and no debuginfo server is asked. proc has to live as long.
class StackReader {
 public:
  explicit StackReader(const ProcRoot& proc, StackLimits limits = {});
  ~StackReader();
  StackReader(const StackReader&) = delete;
  StackReader& operator=(const StackReader&) = delete;

  /// The stacks of these threads, in their order. A thread that is running has none. One that ran
  /// while it was looked at is looked at again, and is marked when it ran then too. Fails when the
  /// process's mappings cannot be read.
  Result<std::vector<UserStack>> stacks(int pid, std::span<const int> tids);
  /// The stack of a thread that has gone on since. What is not in the copy is not looked at. Fails
  /// as stacks() does.
  Result<UserStack> stack_of(int pid, const StackCopy& copy);
  /// What is at an address of a process: "mutex_a", "table+0x40", "/usr/lib/x.so+0x4040" (as the
  /// object numbers it), "[heap]+0x40", "anonymous memory 7f12a000+0x40". Empty when nothing is
  /// there or it cannot be seen.
  std::string name_of_address(int pid, uint64_t address);

 private:
  class State;
  std::unique_ptr<State> state_;
};

/// The same for one process.
Result<std::vector<UserStack>> user_stacks(const ProcRoot& proc, int pid,
                                           std::span<const int> tids);
std::string name_of_address(const ProcRoot& proc, int pid, uint64_t address);

/// Whose lock or wait it is, where the functions tell: "Go", "Java", "Node", "Python", "Rust";
/// empty otherwise. The innermost function that tells decides.
std::string_view runtime_of(const UserStack& stack);

/// The name of a function as its language writes it.
std::string demangled(std::string_view symbol);

}  // namespace ipcscope
