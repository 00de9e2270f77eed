// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/why_stacks.h"

#include <fmt/format.h>

#include <iterator>
#include <map>
#include <set>

#include "collectors/base/parse.h"
#include "collectors/stacks.h"

namespace ipcscope {

namespace {

constexpr size_t most_threads = 200;  // of one answer

/// "#2 worker+0x21 (/usr/bin/app+0x1139) main.c:12"
std::string frame_text(size_t number, const Frame& frame) {
  std::string text = fmt::format("#{} ", number);
  const auto to = std::back_inserter(text);
  if (frame.function.empty()) {
    fmt::format_to(to, "0x{:x}", frame.address);
  } else {
    fmt::format_to(to, "{}+0x{:x}", frame.function, frame.offset);
  }
  if (!frame.object.empty()) {
    fmt::format_to(to, " ({}+0x{:x})", frame.object, frame.object_offset);
  }
  if (!frame.file.empty()) {
    fmt::format_to(to, " {}:{}", frame.file, frame.line);
  }
  return text;
}

/// The threads that are told, by process.
std::map<int, std::set<int>> told_threads(const WhyReport& report) {
  std::map<int, std::set<int>> threads;
  size_t count = 0;
  const auto add = [&](const Thread& thread) {
    if (count < most_threads) {
      count += threads[report.snapshot.processes[thread.process].pid].insert(thread.tid).second;
    }
  };
  for (const ChainGroup& group : report.groups) {
    for (const WaitGraph::Step& step : group.chain.steps) {
      add(report.snapshot.threads[step.thread]);
    }
  }
  for (const Finding& finding : report.findings) {
    for (const int32_t tid : finding.tids) {
      if (const Thread* thread = report.snapshot.thread(tid)) {
        add(*thread);
      }
    }
  }
  return threads;
}

/// "waits at mutex_a": the futex's address as the program calls it.
std::string lock_text(const WhyReport& report, StackReader& reader, int pid, int tid) {
  const Thread* thread = report.snapshot.thread(tid);
  if (thread == nullptr || thread->syscall < 0) {
    return {};
  }
  for (const Wait& wait : report.snapshot.waits_of(*thread)) {
    if (wait.channel != no_index && report.snapshot.channels[wait.channel].kind == Kind::futex &&
        !std::string_view(wait.operation).ends_with("waitv")) {
      const std::string name = reader.name_of_address(pid, thread->args[0]);
      return name.empty() ? "" : "waits at " + name;
    }
  }
  return {};
}

}  // namespace

void add_stacks(WhyReport& report, const ProcRoot& proc, SourceChoice source) {
  StackLimits limits;
  limits.use_bpf = source != SourceChoice::proc;
  StackReader reader(proc, limits);
  for (const auto& [pid, tids] : told_threads(report)) {
    const std::vector<int> list(tids.begin(), tids.end());
    const Result<std::vector<UserStack>> stacks = reader.stacks(pid, list);
    if (!stacks) {
      for (const int tid : list) {
        report.stacks[tid] = {fmt::format("no stack: {}", stacks.error().text())};
      }
      continue;
    }
    for (const UserStack& stack : *stacks) {
      std::vector<std::string>& lines = report.stacks[stack.tid];
      if (std::string lock = lock_text(report, reader, pid, stack.tid); !lock.empty()) {
        if (const std::string_view runtime = runtime_of(stack); !runtime.empty()) {
          lock += fmt::format(", a lock of {}", runtime);
        }
        lines.push_back(std::move(lock));
      }
      for (size_t i = 0; i < stack.frames.size(); i++) {
        lines.push_back(frame_text(i, stack.frames[i]));
      }
      if (!stack.complete && !stack.problem.empty()) {
        lines.push_back(fmt::format("(not complete: {})", stack.problem));
      }
    }
  }
}

}  // namespace ipcscope
