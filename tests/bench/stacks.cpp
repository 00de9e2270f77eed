// SPDX-License-Identifier: GPL-2.0-or-later
// Reads the user stacks of all threads of a process, as `why --stacks` does, and prints them; with
// SECONDS it does so in a loop for that long and prints how often it could, instead.
//
// usage: ipcscope-stacks PID [bpf|proc [SECONDS]]
#include "collectors/stacks.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <cstring>

int main(int argc, char** argv) {
  using namespace ipcscope;
  using Clock = std::chrono::steady_clock;
  if (argc < 2) {
    fmt::print(stderr, "usage: ipcscope-stacks PID [bpf|proc [SECONDS]]\n");
    return 2;
  }
  const int pid = std::atoi(argv[1]);
  StackLimits limits;
  limits.threads = 10'000;
  limits.use_bpf = argc < 3 || std::strcmp(argv[2], "proc") != 0;
  const double seconds = argc > 3 ? std::atof(argv[3]) : 0;
  const Result<ProcRoot> proc = ProcRoot::open();
  const auto start = Clock::now();
  int rounds = 0;
  do {
    StackReader reader(*proc, limits);
    const auto tids = proc->numbers(fmt::format("{}/task", pid).c_str());
    const auto stacks = tids ? reader.stacks(pid, *tids) : Failure(tids.error());
    if (!stacks) {
      fmt::print(stderr, "{}\n", stacks.error().text());
      return 1;
    }
    rounds++;
    if (seconds > 0) {
      continue;
    }
    for (const UserStack& stack : *stacks) {
      fmt::print("thread {} {}\n", stack.tid, runtime_of(stack));
      for (const Frame& frame : stack.frames) {
        fmt::print("  {:#x} {}+{:#x} {}+{:#x} {}:{}\n", frame.address, frame.function, frame.offset,
                   frame.object, frame.object_offset, frame.file, frame.line);
      }
      if (!stack.complete) {
        fmt::print("  ends: {}\n", stack.problem);
      }
    }
  } while (Clock::now() - start < std::chrono::duration<double>(seconds));
  if (seconds > 0) {
    fmt::print("{}\n", rounds);
  }
  return 0;
}
