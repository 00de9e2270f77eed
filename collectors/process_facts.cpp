// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/process_facts.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>

#include "collectors/base/parse.h"

namespace ipcscope {

namespace {

constexpr size_t longest_lineage = 64;
constexpr size_t deepest_stack = 16;

/// The lines of PID/status that matter here.
struct Status {
  std::string name;
  std::optional<int> parent;
  std::vector<int> namespace_pids;
  std::optional<SignalSet> pending, shared_pending, blocked, ignored, caught;
  std::optional<uint64_t> queued;
};

Status parse_status(std::string_view text) {
  Status status;
  while (!text.empty()) {
    std::string_view line = next_line(text);
    const size_t colon = line.find(':');
    const std::string_view key = line.substr(0, colon);
    line.remove_prefix(std::min(line.size(), colon + 1));
    const auto set = [&] { return next_number<uint64_t>(line, 16); };
    if (key == "Name") {
      line.remove_prefix(std::min<size_t>(line.size(), 1));
      status.name = line;
    } else if (key == "PPid") {
      status.parent = next_number<int>(line);
    } else if (key == "NSpid") {
      while (const auto pid = next_number<int>(line)) {
        status.namespace_pids.push_back(*pid);
      }
    } else if (key == "SigPnd") {
      status.pending = set();
    } else if (key == "ShdPnd") {
      status.shared_pending = set();
    } else if (key == "SigBlk") {
      status.blocked = set();
    } else if (key == "SigIgn") {
      status.ignored = set();
    } else if (key == "SigCgt") {
      status.caught = set();
    } else if (key == "SigQ") {
      status.queued = parse_number<uint64_t>(next_word(line, " \t/"));
    }
  }
  return status;
}

std::optional<Status> read_status(const ProcRoot& proc, const std::string& path) {
  const Result<std::string> text = proc.read(path + "/status");
  return text ? std::optional<Status>(parse_status(*text)) : std::nullopt;
}

std::vector<std::string> read_command_line(const ProcRoot& proc, int pid) {
  std::vector<std::string> words;
  const Result<std::string> text = proc.read(fmt::format("{}/cmdline", pid));
  if (!text || text->empty()) {
    return words;
  }
  std::string_view left = *text;
  while (!left.empty()) {
    const size_t end = std::min(left.find('\0'), left.size());
    words.emplace_back(left.substr(0, end));
    left.remove_prefix(std::min(end + 1, left.size()));
  }
  return words;
}

std::string read_cgroup(const ProcRoot& proc, int pid) {
  const Result<std::string> text = proc.read(fmt::format("{}/cgroup", pid));
  std::string_view left = text ? std::string_view(*text) : std::string_view();
  std::string first;
  while (!left.empty()) {
    const std::string_view line = next_line(left);  // HIERARCHY:CONTROLLERS:PATH
    const size_t path = line.find(':', std::min(line.find(':'), line.size() - 1) + 1);
    if (path == std::string_view::npos) {
      continue;
    }
    if (line.starts_with("0::")) {
      return std::string(line.substr(path + 1));
    }
    if (first.empty()) {
      first = line.substr(path + 1);
    }
  }
  return first;
}

/// "Max open files            1024                 524288               files     "
std::vector<ResourceLimit> read_limits(const ProcRoot& proc, int pid) {
  static constexpr std::string_view wanted[] = {"open files", "locked memory", "file locks",
                                                "pending signals", "msgqueue size"};
  std::vector<ResourceLimit> limits;
  const Result<std::string> text = proc.read(fmt::format("{}/limits", pid));
  std::string_view left = text ? std::string_view(*text) : std::string_view();
  while (!left.empty()) {
    std::string_view line = next_line(left);
    if (!line.starts_with("Max ")) {
      continue;
    }
    line.remove_prefix(4);
    for (const std::string_view name : wanted) {
      if (line.starts_with(name)) {
        line.remove_prefix(name.size());
        ResourceLimit limit;
        limit.name = name;
        limit.soft = parse_number<uint64_t>(next_word(line));
        limit.hard = parse_number<uint64_t>(next_word(line));
        limit.unit = next_word(line);
        limits.push_back(std::move(limit));
        break;
      }
    }
  }
  return limits;
}

std::vector<std::pair<int, std::string>> read_parents(const ProcRoot& proc,
                                                      std::optional<int> parent) {
  std::vector<std::pair<int, std::string>> parents;
  while (parent && *parent > 0 && parents.size() < longest_lineage) {
    const auto status = read_status(proc, std::to_string(*parent));
    parents.emplace_back(*parent, status ? status->name : std::string());
    parent = status ? status->parent : std::nullopt;
  }
  return parents;
}

/// "[<0>] pipe_read+0x2e1/0x3b0" -> "pipe_read+0x2e1"
std::vector<std::string> parse_stack(std::string_view text) {
  std::vector<std::string> stack;
  while (!text.empty() && stack.size() < deepest_stack) {
    std::string_view line = next_line(text);
    line.remove_prefix(std::min(line.find("] ") + 2, line.size()));
    stack.emplace_back(line.substr(0, line.find('/')));
  }
  return stack;
}

bool is_container_id(std::string_view word) {
  constexpr size_t length = 64;
  return word.size() == length && std::all_of(word.begin(), word.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

}  // namespace

ThreadFacts read_thread_facts(const ProcRoot& proc, int pid, int tid) {
  const std::string path = fmt::format("{}/task/{}", pid, tid);
  ThreadFacts facts;
  facts.tid = tid;
  if (const auto status = read_status(proc, path)) {
    facts.pending = status->pending;
    facts.blocked = status->blocked;
  }
  if (Result<std::string> wchan = proc.read(path + "/wchan"); wchan && *wchan != "0") {
    facts.wchan = std::move(*wchan);
  }
  if (const Result<std::string> stack = proc.read(path + "/stack")) {
    facts.stack = parse_stack(*stack);
  }
  return facts;
}

void recognize_cgroup(ProcessFacts& facts) {
  struct Prefix {
    std::string_view text;
    std::string_view runtime;
  };
  // The scopes that runtimes make under systemd, and the parents that they use without it.
  static constexpr Prefix prefixes[] = {{"docker-", "docker"},   {"cri-containerd-", "containerd"},
                                        {"crio-", "cri-o"},      {"libpod-", "podman"},
                                        {"lxc.payload.", "lxc"}, {"machine-", "nspawn"}};
  static constexpr Prefix directories[] = {{"docker", "docker"},
                                           {"kubepods", "kubernetes"},
                                           {"libpod_parent", "podman"},
                                           {"lxc", "lxc"}};
  std::string_view left = facts.cgroup;
  std::string_view runtime_above;
  while (!left.empty()) {
    const std::string_view part = next_word(left, "/");
    for (const std::string_view suffix : {".service", ".scope", ".socket", ".mount"}) {
      if (part.ends_with(suffix)) {
        facts.unit = part;
      }
    }
    std::string_view id = part;
    std::string_view runtime = runtime_above;
    if (id.ends_with(".scope")) {
      id.remove_suffix(6);
    }
    for (const Prefix& prefix : prefixes) {
      if (id.starts_with(prefix.text)) {
        id.remove_prefix(prefix.text.size());
        runtime = prefix.runtime;
        const bool named = prefix.runtime == "lxc" || prefix.runtime == "nspawn";
        if (named && !id.empty()) {
          facts.container = id;
          facts.container_runtime = runtime;
        }
        break;
      }
    }
    if (is_container_id(id)) {
      facts.container = id;
      facts.container_runtime = runtime;
    }
    for (const Prefix& directory : directories) {
      if (part.starts_with(directory.text)) {
        runtime_above = directory.runtime;
      }
    }
  }
}

std::optional<SignalSet> read_caught_signals(const ProcRoot& proc, int pid) {
  const auto status = read_status(proc, std::to_string(pid));
  if (!status || !status->caught) {
    return std::nullopt;
  }
  const auto bit = [](int number) { return SignalSet{1} << (number - 1); };
  constexpr int library_first = 32, library_second = 33;
  return *status->caught & ~(bit(library_first) | bit(library_second) | bit(SIGILL) | bit(SIGTRAP) |
                             bit(SIGABRT) | bit(SIGBUS) | bit(SIGFPE) | bit(SIGSEGV) | bit(SIGSYS));
}

ProcessFacts read_process_facts(const ProcRoot& proc, int pid, bool with_threads) {
  ProcessFacts facts;
  facts.pid = pid;
  const auto status = read_status(proc, std::to_string(pid));
  if (!status) {
    return facts;
  }
  facts.exists = true;
  facts.namespace_pids = status->namespace_pids;
  facts.shared_pending = status->shared_pending;
  facts.blocked = status->blocked;
  facts.ignored = status->ignored;
  facts.caught = status->caught;
  facts.queued_signals = status->queued;
  facts.parents = read_parents(proc, status->parent);
  facts.command_line = read_command_line(proc, pid);
  facts.cgroup = read_cgroup(proc, pid);
  recognize_cgroup(facts);
  facts.limits = read_limits(proc, pid);
  for (const char* kind : {"cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"}) {
    if (const auto inode = proc.namespace_id(pid, kind)) {
      facts.namespaces.emplace_back(kind, *inode);
    }
  }
  if (with_threads) {
    Result<std::vector<int>> tids = proc.numbers(fmt::format("{}/task", pid).c_str());
    if (tids) {
      std::sort(tids->begin(), tids->end());
      for (const int tid : *tids) {
        facts.threads.push_back(read_thread_facts(proc, pid, tid));
      }
    }
  }
  return facts;
}

}  // namespace ipcscope
