// SPDX-License-Identifier: GPL-2.0-or-later
// The limits on threads of control groups.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "collectors/base/parse.h"
#include "collectors/limits/gathering.h"
#include "collectors/proc/mounts.h"

namespace ipcscope {

namespace {

struct Hierarchy {
  std::string point;  ///< where it is mounted
  std::string root;   ///< what of it is mounted there
};

/// The mount of the hierarchy with the controller "pids": its own of version 1, else version 2.
std::optional<Hierarchy> find_hierarchy(const ProcRoot& proc) {
  const Result<std::string> text = proc.read(std::string("self/mountinfo"));
  std::string_view left = text ? std::string_view(*text) : std::string_view();
  std::optional<Hierarchy> unified;
  while (!left.empty()) {
    const std::string_view line = next_line(left);
    const auto mount = parse_mountinfo_line(line);
    if (!mount) {
      continue;
    }
    const Hierarchy here = {std::string(mount->point), std::string(mount->root)};
    if (mount->type == "cgroup2" && !unified) {
      unified = here;
    } else if (mount->type == "cgroup") {
      std::string_view options = line.substr(line.rfind(' ') + 1);
      while (!options.empty()) {
        if (next_word(options, ",") == "pids") {
          return here;
        }
      }
    }
  }
  return unified;
}

/// The path below the mount point; nothing when it is not below it.
std::optional<std::string> below_mount(const Hierarchy& hierarchy, std::string_view path) {
  if (hierarchy.root != "/") {
    if (!path.starts_with(hierarchy.root)) {
      return std::nullopt;
    }
    path.remove_prefix(hierarchy.root.size());
  }
  if (path.find("/..") != std::string_view::npos) {
    return std::nullopt;  // outside of ipcscope's own cgroup namespace
  }
  return hierarchy.point + std::string(path == "/" ? "" : path);
}

}  // namespace

void gather_cgroup_limits(LimitGathering& gathering) {
  LimitFacts& facts = gathering.facts;
  Coverage coverage;
  coverage.source = "limits-cgroup";
  const std::optional<Hierarchy> hierarchy = find_hierarchy(gathering.proc);
  if (!hierarchy) {
    coverage.state = Coverage::State::unavailable;
    coverage.reason = "no control groups are mounted that limit processes";
    facts.coverage.push_back(std::move(coverage));
    return;
  }
  // Threads by control group, and by those above it, which limit it too.
  std::map<std::string_view, std::vector<ProcessIndex>> members;
  const Snapshot& snapshot = gathering.snapshot;
  std::vector<std::vector<ProcessIndex>> direct(facts.cgroups.size());
  for (ProcessIndex i = 0; i < snapshot.processes.size(); i++) {
    const LimitProcess* process = gathering.process(i);
    if (process != nullptr && process->cgroup < direct.size()) {
      direct[process->cgroup].push_back(i);
    }
  }
  for (size_t i = 0; i < facts.cgroups.size(); i++) {
    for (std::string_view path = facts.cgroups[i]; path.size() > 1;
         path = path.substr(0, path.rfind('/'))) {
      std::vector<ProcessIndex>& of = members[path];
      of.insert(of.end(), direct[i].begin(), direct[i].end());
    }
  }
  for (const auto& [path, processes] : members) {
    const std::optional<std::string> directory = below_mount(*hierarchy, path);
    if (!directory) {
      coverage.unreadable++;
      continue;
    }
    coverage.checked++;
    const std::string file = "self/root" + *directory + "/pids.";
    const Result<std::string> text = gathering.proc.read(file + "max");
    const std::optional<uint64_t> limit = text ? number_at(numbers_of(*text), 0) : std::nullopt;
    if (!limit) {
      continue;  // "max", or the controller is not on here
    }
    LimitPlace place;
    place.kind = LimitPlace::Kind::cgroup;
    place.name = path;
    LimitFact& fact = gathering.add(LimitId::cgroup_pids, std::move(place));
    fact.limit = limit;
    fact.used = number_at(read_setting(gathering.proc, (file + "current").c_str()), 0);
    fact.directory = *directory;
    LimitTally threads(gathering);
    for (const ProcessIndex index : processes) {
      threads.add_process(index, snapshot.processes[index].thread_count);
    }
    fact.users = threads.largest();
  }
  if (coverage.unreadable > 0) {
    coverage.state = Coverage::State::partial;
    coverage.reason = "control groups outside of ipcscope's own cgroup namespace";
    coverage.hint = "run it on the host";
  }
  facts.coverage.push_back(std::move(coverage));
}

}  // namespace ipcscope
