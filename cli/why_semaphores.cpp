// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/why_semaphores.h"

#include <sys/sem.h>

#include "analysis/semaphore_note.h"
#include "collectors/name_spaces.h"
#include "collectors/target_memory.h"

namespace ipcscope {

namespace {

constexpr size_t most_waits = 256;         // of one answer
constexpr uint64_t most_operations = 500;  // SEMOPM, as the kernel has it by default

std::vector<SemaphoreOperation> operations_of(const Thread& thread, TargetMemory& memory) {
  std::vector<SemaphoreOperation> operations;
  if (thread.syscall < 0 || thread.args[2] == 0 || thread.args[2] > most_operations) {
    return operations;
  }
  std::vector<sembuf> raw(thread.args[2]);
  if (!memory.read(thread.tid, thread.args[1], raw.data(), raw.size() * sizeof(sembuf))) {
    return operations;
  }
  for (const sembuf& each : raw) {
    operations.push_back({each.sem_num, each.sem_op});
  }
  return operations;
}

}  // namespace

void add_semaphore_notes(WhyReport& report, const ProcRoot& proc) {
  const Snapshot& snapshot = report.snapshot;
  TargetMemory memory(is_live(proc));
  const auto add = [&](const WaitGraph::Step& step) {
    if (step.wait == no_index || report.notes.size() >= most_waits ||
        report.notes.contains(step.wait) || snapshot.waits[step.wait].channel == no_index) {
      return;
    }
    const Channel& channel = snapshot.channels[snapshot.waits[step.wait].channel];
    const std::string_view operation = snapshot.waits[step.wait].operation;
    if (channel.kind == Kind::sem && operation.starts_with("semop")) {
      report.notes.emplace(
          step.wait,
          semaphore_note(snapshot, channel, operations_of(snapshot.threads[step.thread], memory)));
    }
  };
  for (const ChainGroup& group : report.groups) {
    for (const ThreadIndex thread : group.threads) {
      const WaitGraph::Chain chain =
          thread == group.threads.front() ? group.chain : report.graph->chain(thread);
      for (const WaitGraph::Step& step : chain.steps) {
        add(step);
      }
    }
  }
}

}  // namespace ipcscope
