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

/// Whom a process acts as, and whom it may act as again without asking anybody; none: unknown.
std::vector<uint32_t> uids_of(const ProcRoot& proc, int pid) {
  const Result<std::string> text = proc.read(fmt::format("{}/status", pid));
  const TaskStatus status = text ? parse_status(*text) : TaskStatus();
  return status.uid ? std::vector<uint32_t>(status.uids.begin(), status.uids.end())
                    : std::vector<uint32_t>();
}

}  // namespace

std::vector<int> find_unseen(const Snapshot& snapshot, const ProcRoot& proc, Leftovers& leftovers) {
  for (const Process& process : snapshot.processes) {
    // One that has ended holds nothing, whatever could be seen of it.
    if (process.mm != 0 && !process.fd_count && !snapshot.has_ended(process)) {
      leftovers.unseen.push_back(
          {describe(process.pid, process.command()), process.pid, {process.uid}, process.start_ns});
    }
  }
  const auto pid_ns = proc.namespace_id(::getpid(), "pid");
  leftovers.processes_outside = !pid_ns || *pid_ns != initial_pid_ns;

  std::vector<int> unseen;
  const Result<std::vector<int>> pids = proc.numbers(".");
  if (!pids) {
    leftovers.unseen.push_back({.name = "every process: " + pids.error().text()});
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
    UnseenProcess hidden;
    if (stat) {
      hidden.start_ns = stat->start_ticks * (1'000'000'000U / ticks);
      if (stat->kernel_thread() || stat->state == 'Z' || stat->state == 'X' ||
          *hidden.start_ns >= static_cast<uint64_t>(snapshot.boot_ns)) {
        continue;
      }
    }
    unseen.push_back(pid);
    hidden.pid = pid;
    hidden.name = describe(pid, stat ? stat->comm : std::string_view("unreadable"));
    hidden.uids = uids_of(proc, pid);
    leftovers.unseen.push_back(std::move(hidden));
  }
  // Every PID namespace has a process 1 as long as anybody lives in it.
  if (!has_first) {
    leftovers.unseen.push_back({.name = "processes that /proc does not list (hidepid)"});
  }
  return unseen;
}

}  // namespace ipcscope
