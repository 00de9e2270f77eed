// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/stacks.h"

#include <algorithm>

#include "collectors/stacks/program_code.h"
#include "collectors/stacks/registers.h"

namespace ipcscope {

namespace {

using Clock = std::chrono::steady_clock;

constexpr int looks = 3;                     // at a thread that keeps running in between
constexpr size_t most_tries = 4;             // threads that may have ended meanwhile
constexpr std::chrono::seconds code_age{1};  // after which its mappings are read again

}  // namespace

class StackReader::State {
 public:
  State(const ProcRoot& root, StackLimits bounds)
      : proc(root), limits(bounds), registers(root, bounds.use_bpf) {}

  /// The code of a process; kept for a next call that comes soon. Through one of the threads when
  /// the first one of the process has ended.
  Result<ProgramCode*> code_of(int pid, std::span<const int> tids) {
    if (!code_ || pid_ != pid || Clock::now() - opened_ > code_age) {
      code_.reset();
      Result<std::unique_ptr<ProgramCode>> opened = ProgramCode::open(proc, pid);
      for (size_t i = 0; !opened && i < std::min(tids.size(), most_tries); i++) {
        opened = ProgramCode::open(proc, tids[i]);
      }
      if (!opened) {
        return Failure(opened.error());
      }
      code_ = std::move(*opened);
      pid_ = pid;
      opened_ = Clock::now();
    }
    code_->forget_memory();
    return code_.get();
  }
  void look(ProgramCode& code, int pid, std::vector<UserStack>& stacks, Clock::time_point deadline);

  const ProcRoot& proc;
  StackLimits limits;
  RegisterReader registers;

 private:
  int pid_ = 0;
  Clock::time_point opened_;
  std::unique_ptr<ProgramCode> code_;
};

/// Fills those stacks that have neither frames nor a problem yet, and marks those that moved.
void StackReader::State::look(ProgramCode& code, int pid, std::vector<UserStack>& stacks,
                              Clock::time_point deadline) {
  std::vector<int> tids;
  std::vector<UserStack*> wanted;
  for (UserStack& stack : stacks) {
    if (stack.frames.empty() && stack.problem.empty()) {
      tids.push_back(stack.tid);
      wanted.push_back(&stack);
    }
  }
  const std::vector<ThreadRegisters> before = registers.read(pid, tids);
  code.prefetch_stacks(before);
  for (size_t i = 0; i < wanted.size(); i++) {
    code.unwind(before[i], limits.frames, deadline, *wanted[i]);
  }
  const std::vector<ThreadRegisters> after = registers.read(pid, tids);
  for (size_t i = 0; i < wanted.size(); i++) {
    if (before[i].known != ThreadRegisters::Known::nothing && !before[i].slept_until(after[i])) {
      wanted[i]->complete = false;
      wanted[i]->problem = moved_meanwhile;
    }
  }
}

StackReader::StackReader(const ProcRoot& proc, StackLimits limits)
    : state_(std::make_unique<State>(proc, limits)) {}

StackReader::~StackReader() = default;

Result<std::vector<UserStack>> StackReader::stacks(int pid, std::span<const int> tids) {
  const auto deadline = Clock::now() + state_->limits.time;
  if (tids.empty()) {
    return std::vector<UserStack>();
  }
  Result<ProgramCode*> code = state_->code_of(pid, tids);
  if (!code) {
    return Failure(code.error());
  }
  std::vector<UserStack> stacks(tids.size());
  for (size_t i = 0; i < tids.size(); i++) {
    stacks[i].tid = tids[i];
    if (i >= state_->limits.threads) {
      stacks[i].problem = "more threads than are looked at";
    }
  }
  for (int round = 0; round < looks; round++) {
    state_->look(**code, pid, stacks, deadline);
    bool again = false;
    for (UserStack& stack : stacks) {
      if (stack.problem == moved_meanwhile && round + 1 < looks && Clock::now() < deadline) {
        stack.frames.clear();
        stack.problem.clear();
        again = true;
      }
    }
    if (!again) {
      break;
    }
    (*code)->forget_memory();
  }
  for (UserStack& stack : stacks) {
    (*code)->name_frames(stack, deadline);
  }
  return stacks;
}

Result<UserStack> StackReader::stack_of(int pid, const StackCopy& copy) {
  const auto deadline = Clock::now() + state_->limits.time;
  Result<ProgramCode*> code = state_->code_of(pid, {&copy.tid, 1});
  if (!code) {
    return Failure(code.error());
  }
  ThreadRegisters registers{.tid = copy.tid, .known = ThreadRegisters::Known::all};
  registers.instruction = copy.instruction;
  std::copy_n(copy.registers.begin(), std::min(copy.registers.size(), registers.values.size()),
              registers.values.begin());
  UserStack stack;
  stack.tid = copy.tid;
  (*code)->lay_over(copy.address, copy.bytes);
  (*code)->unwind(registers, state_->limits.frames, deadline, stack);
  (*code)->lay_over(0, {});
  (*code)->name_frames(stack, deadline);
  return stack;
}

std::string StackReader::name_of_address(int pid, uint64_t address) {
  const Result<ProgramCode*> code = state_->code_of(pid, {});
  return code ? (*code)->name(address) : std::string();
}

Result<std::vector<UserStack>> user_stacks(const ProcRoot& proc, int pid,
                                           std::span<const int> tids) {
  return StackReader(proc).stacks(pid, tids);
}

std::string name_of_address(const ProcRoot& proc, int pid, uint64_t address) {
  return StackReader(proc).name_of_address(pid, address);
}

}  // namespace ipcscope
