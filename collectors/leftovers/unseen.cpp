// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/leftovers/unseen.h"

#include <fmt/format.h>
#include <unistd.h>

#include "collectors/proc/task_files.h"

namespace ipcscope {

namespace {

/// PROC_PID_INIT_INO in include/linux/proc_ns.h, since 3.8.
constexpr unsigned initial_pid_ns = 0xeffffffcU;

std::string describe(int pid, std::string_view command) {
  return fmt::format("process {} ({})", pid, command);
}

/// A process that has ended holds nothing, whatever could be seen of it.
bool has_ended(const Snapshot& snapshot, const Process& process) {
  for (const Thread& thread : snapshot.threads_of(process)) {
    if (thread.state != 'Z' && thread.state != 'X') {
      return false;
    }
  }
  return process.thread_count > 0;
}

}  // namespace

std::vector<int> find_unseen(const Snapshot& snapshot, const ProcRoot& proc, Leftovers& leftovers) {
  const auto add = [&](std::string who) {
    if (leftovers.unseen_processes++ == 0) {
      leftovers.unseen_example = std::move(who);
    }
  };
  for (const Process& process : snapshot.processes) {
    if (process.mm != 0 && !process.fd_count && !has_ended(snapshot, process)) {
      add(describe(process.pid, process.command()));
    }
  }
  const auto pid_ns = proc.namespace_id(::getpid(), "pid");
  leftovers.processes_outside = !pid_ns || *pid_ns != initial_pid_ns;

  std::vector<int> unseen;
  const Result<std::vector<int>> pids = proc.numbers(".");
  if (!pids) {
    add("every process: " + pids.error().text());
    return unseen;
  }
  const auto ticks = static_cast<uint64_t>(::sysconf(_SC_CLK_TCK));
  bool has_first = false;
  for (const int pid : *pids) {
    has_first = has_first || pid == 1;
    if (snapshot.process(pid) != nullptr) {
      continue;
    }
    const Result<std::string> text = proc.read(fmt::format("{}/stat", pid));
    if (!text && (text.error().code.value() == ENOENT || text.error().code.value() == ESRCH)) {
      continue;  // it has ended
    }
    const auto stat = text ? parse_stat(*text) : std::nullopt;
    if (stat &&
        (stat->kernel_thread() || stat->state == 'Z' || stat->state == 'X' ||
         stat->start_ticks * (1'000'000'000U / ticks) >= static_cast<uint64_t>(snapshot.boot_ns))) {
      continue;
    }
    unseen.push_back(pid);
    add(describe(pid, stat ? stat->comm : std::string_view("unreadable")));
  }
  // Every PID namespace has a process 1 as long as anybody lives in it.
  if (!has_first) {
    add("processes that /proc does not list (hidepid)");
  }
  return unseen;
}

}  // namespace ipcscope
