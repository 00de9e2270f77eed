// SPDX-License-Identifier: GPL-2.0-or-later
// What the files of each process tell of its limits.
#include <linux/capability.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>

#include "collectors/base/parse.h"
#include "collectors/limits/gathering.h"
#include "collectors/proc/file_reader.h"
#include "collectors/proc/workers.h"

namespace ipcscope {

namespace {

/// The number behind a key of PID/status, in the given base.
std::optional<uint64_t> after(std::string_view line, std::string_view key, int base = 10) {
  if (!line.starts_with(key)) {
    return std::nullopt;
  }
  line.remove_prefix(key.size());
  return next_number<uint64_t>(line, base);
}

/// PID/status (Linux 6.18 fs/proc/array.c, task_sig, task_cap, task_state). SigQ counts for the
/// process's user in its user namespace and gives the process's own soft limit.
void read_status(std::string_view text, LimitProcess& process) {
  while (!text.empty()) {
    std::string_view line = next_line(text);
    if (line.starts_with("Uid:")) {
      line.remove_prefix(4);
      process.uid = next_number<uint32_t>(line).value_or(process.uid);
      process.euid = next_number<uint32_t>(line).value_or(process.euid);
    } else if (line.starts_with("SigQ:")) {
      line.remove_prefix(5);
      const std::string_view used = next_word(line, " \t/");
      process.queued_signals = parse_number<uint64_t>(used);
    } else if (after(line, "SigPnd:", 16).value_or(0) != 0 ||
               after(line, "ShdPnd:", 16).value_or(0) != 0) {
      process.has_pending_signals = true;
    } else if (const auto effective = after(line, "CapEff:", 16)) {
      constexpr uint64_t either = 1ULL << CAP_SYS_RESOURCE | 1ULL << CAP_SYS_ADMIN;
      process.privileged = (*effective & either) != 0;
    }
  }
}

LimitPair read_pair(std::string_view line) {
  constexpr size_t name_width = 26;  // fs/proc/base.c, proc_pid_limits
  line.remove_prefix(std::min(name_width, line.size()));
  LimitPair pair;
  pair.soft = next_number<uint64_t>(line);
  pair.hard = next_number<uint64_t>(line);
  return pair;
}

void read_limits(std::string_view text, LimitProcess& process) {
  while (!text.empty()) {
    const std::string_view line = next_line(text);
    if (line.starts_with("Max open files")) {
      process.nofile = read_pair(line);
      process.has_limits = true;
    } else if (line.starts_with("Max pending signals")) {
      process.sigpending = read_pair(line);
    } else if (line.starts_with("Max msgqueue size")) {
      process.msgqueue = read_pair(line);
    }
  }
}

/// The path in the hierarchy that has the controller "pids": its own of version 1, else version 2.
std::string_view pids_cgroup(std::string_view text) {
  std::string_view unified;
  while (!text.empty()) {
    std::string_view line = next_line(text);
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (first == std::string_view::npos || second == std::string_view::npos) {
      continue;
    }
    std::string_view controllers = line.substr(first + 1, second - first - 1);
    const std::string_view path = line.substr(second + 1);
    if (line.starts_with("0::")) {
      unified = path;
    }
    while (!controllers.empty()) {
      if (next_word(controllers, ",") == "pids") {
        return path;
      }
    }
  }
  return unified;
}

uint32_t user_name_space(const ProcRoot& proc, int pid) {
  return proc.namespace_id(pid, "user").value_or(0);
}

uint32_t foreign(uint32_t value, uint32_t own) { return value == own ? 0 : value; }

}  // namespace

void gather_processes(LimitGathering& gathering) {
  const Snapshot& snapshot = gathering.snapshot;
  LimitFacts& facts = gathering.facts;
  gathering.limit_process.assign(snapshot.processes.size(), no_index);
  std::vector<ProcessIndex> of;
  for (ProcessIndex i = 0; i < snapshot.processes.size(); i++) {
    const Process& from = snapshot.processes[i];
    // A kernel thread, one that has ended; or ipcscope, which says nothing about the host.
    if (from.mm == 0 || (gathering.live && from.pid == ::getpid())) {
      continue;
    }
    gathering.limit_process[i] = static_cast<uint32_t>(facts.processes.size());
    of.push_back(i);
    LimitProcess& process = facts.processes.emplace_back();
    process.pid = from.pid;
    process.uid = process.euid = from.uid;
    process.ipc_ns = foreign(from.ipc_ns, gathering.own_ipc_ns);
    process.net_ns = foreign(from.net_ns, gathering.own_net_ns);
    process.mnt_ns = foreign(from.mnt_ns, gathering.own_mnt_ns);
    process.pid_ns = foreign(from.pid_ns, gathering.own_pid_ns);
    process.descriptors = from.fd_count;
    process.threads = from.thread_count;
    process.comm = from.command();
  }
  std::vector<std::string> paths(of.size());
  const size_t workers = worker_count(of.size());
  std::vector<FileReader> readers(workers);
  std::atomic<uint64_t> unreadable{0};
  share_work(of.size(), workers, [&](size_t worker, size_t item) {
    LimitProcess& process = facts.processes[item];
    FileReader& reader = readers[worker];
    char path[48];
    const auto read = [&](const char* name) {
      std::snprintf(path, sizeof path, "%d/%s", process.pid, name);
      return reader.read(gathering.proc.descriptor(), path, true);
    };
    read_status(read("status"), process);
    read_limits(read("limits"), process);
    paths[item] = pids_cgroup(read("cgroup"));
    process.user_ns = foreign(user_name_space(gathering.proc, process.pid), gathering.own_user_ns);
    // capable() asks in the initial user namespace: capabilities in another one do not count.
    process.privileged = process.privileged && process.user_ns == 0;
    // One that has ended since is no gap.
    if (!process.has_limits && reader.error() != ENOENT && reader.error() != ESRCH) {
      unreadable++;
    }
  });
  std::unordered_map<std::string_view, uint32_t> known;
  for (size_t i = 0; i < paths.size(); i++) {
    if (paths[i].empty()) {
      continue;
    }
    const auto [found, is_new] =
        known.try_emplace(paths[i], static_cast<uint32_t>(facts.cgroups.size()));
    if (is_new) {
      facts.cgroups.push_back(paths[i]);
    }
    facts.processes[i].cgroup = found->second;
  }

  uint64_t uncounted = 0;
  for (const LimitProcess& process : facts.processes) {
    uncounted += process.descriptors ? 0 : 1;
  }
  Coverage coverage;
  coverage.source = "limits-processes";
  coverage.checked = facts.processes.size();
  coverage.unreadable = std::max<uint64_t>(uncounted, unreadable);
  if (coverage.unreadable > 0) {
    coverage.state = Coverage::State::partial;
    coverage.reason = "processes whose descriptors could not be counted: what they use is missing";
    coverage.hint = "run as root (CAP_SYS_PTRACE)";
  }
  facts.coverage.push_back(std::move(coverage));
}

}  // namespace ipcscope
