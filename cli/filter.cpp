// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/filter.h"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>

#include "collectors/base/parse.h"

namespace ipcscope {

namespace {

bool matches(const std::string& pattern, std::string_view text) {
  return ::fnmatch(pattern.c_str(), std::string(text).c_str(), 0) == 0;
}

/// True when some line of /proc/PID/cgroup ("ID:CONTROLLERS:PATH") has the pattern in its path.
bool in_cgroup(const ProcRoot& proc, pid_t pid, const std::string& pattern) {
  const Result<std::string> file = proc.read(fmt::format("{}/cgroup", pid));
  if (!file) {
    return false;
  }
  std::string_view left = *file;
  while (!left.empty()) {
    std::string_view line = next_line(left);
    for (int colons = 0; colons < 2; colons++) {
      line.remove_prefix(std::min(line.size(), line.find(':') + 1));
    }
    if (line.find(pattern) != std::string_view::npos || matches(pattern, line)) {
      return true;
    }
  }
  return false;
}

}  // namespace

bool ChannelFilter::passes(const Process& process, const ProcRoot& proc) const {
  return (pids.empty() || std::find(pids.begin(), pids.end(), process.pid) != pids.end()) &&
         (!user || process.uid == *user) &&
         (cgroup.empty() || in_cgroup(proc, process.pid, cgroup));
}

bool ChannelFilter::passes(const Snapshot& snapshot, const Channel& channel,
                           const std::vector<bool>& processes) const {
  if ((kinds.any() && !kinds.test(static_cast<size_t>(channel.kind))) ||
      (blocked && channel.wait_count == 0) ||
      (!name.empty() && !matches(name, channel.id) && !matches(name, channel.name))) {
    return false;
  }
  if (!restricts_processes()) {
    return true;
  }
  const auto passing = [&](ProcessIndex process) {
    return process < processes.size() && processes[process];
  };
  for (const Endpoint& endpoint : snapshot.endpoints_of(channel)) {
    if (passing(endpoint.process)) {
      return true;
    }
  }
  for (const uint32_t wait : snapshot.waits_at(channel)) {
    if (passing(snapshot.threads[snapshot.waits[wait].thread].process)) {
      return true;
    }
  }
  const bool orphan = channel.endpoint_count == 0 && channel.wait_count == 0;
  return orphan && user && channel.uid == user && pids.empty() && cgroup.empty();
}

std::vector<ChannelIndex> ChannelFilter::select(const Snapshot& snapshot,
                                                const ProcRoot& proc) const {
  std::vector<bool> processes;
  if (restricts_processes()) {
    for (const Process& process : snapshot.processes) {
      processes.push_back(passes(process, proc));
    }
  }
  std::vector<ChannelIndex> selected;
  for (ChannelIndex i = 0; i < snapshot.channels.size(); i++) {
    if (passes(snapshot, snapshot.channels[i], processes)) {
      selected.push_back(i);
    }
  }
  return selected;
}

}  // namespace ipcscope
