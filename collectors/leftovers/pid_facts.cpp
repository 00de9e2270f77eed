// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/leftovers/pid_facts.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "collectors/base/parse.h"
#include "collectors/proc/task_files.h"

namespace ipcscope {

namespace {

/// Whether pid is only the number of a thread of another process; nothing when /proc hides it.
std::optional<bool> is_thread(const ProcRoot& proc, int32_t pid) {
  const Result<std::string> text = proc.read(fmt::format("{}/status", pid));
  if (!text) {
    return std::nullopt;
  }
  for (std::string_view rest = *text; !rest.empty();) {
    std::string_view line = next_line(rest);
    if (next_word(line, ":") == "Tgid") {
      const auto leader = parse_number<int32_t>(next_word(line, ": \t"));
      return leader && *leader != pid;
    }
  }
  return std::nullopt;
}

PidFact ask(const ProcRoot& proc, int32_t pid) {
  PidFact fact;
  fact.exists = ::kill(pid, 0) == 0 || errno != ESRCH;
  if (!fact.exists) {
    return fact;
  }
  if (is_thread(proc, pid).value_or(false)) {
    fact.exists = false;
    return fact;
  }
  const Result<std::string> text = proc.read(fmt::format("{}/stat", pid));
  if (const auto stat = text ? parse_stat(*text) : std::nullopt) {
    const auto ticks = static_cast<uint64_t>(::sysconf(_SC_CLK_TCK));
    fact.start_ns = stat->start_ticks * (1'000'000'000U / ticks);
  }
  return fact;
}

}  // namespace

void add_semaphore_pids(std::string_view json, std::vector<int32_t>& pids) {
  constexpr std::string_view key = "\"pid\":";
  for (size_t at = json.find(key); at != std::string_view::npos; at = json.find(key, at)) {
    at += key.size();
    std::string_view rest = json.substr(at);
    if (const auto pid = parse_number<int32_t>(next_word(rest, ",}] "))) {
      pids.push_back(*pid);
    }
  }
}

void find_pids(const Snapshot& snapshot, const ProcRoot& proc, Leftovers& leftovers) {
  std::vector<int32_t> pids;
  for (const Channel& channel : snapshot.channels) {
    if (channel.kind != Kind::shm && channel.kind != Kind::sem && channel.kind != Kind::msg) {
      continue;
    }
    for (const Attribute& attribute : snapshot.attributes_of(channel)) {
      const std::string_view key = attribute.key;
      if (attribute.type == Attribute::Type::integer && key.ends_with("_pid")) {
        pids.push_back(static_cast<int32_t>(attribute.integer));
      } else if (attribute.type == Attribute::Type::json && key == "semaphores") {
        add_semaphore_pids(attribute.string(), pids);
      }
    }
  }
  for (const PathFact& path : leftovers.paths) {
    pids.push_back(path.pid);
  }
  for (const Instance& instance : leftovers.instances) {
    pids.push_back(instance.pid);
  }
  std::sort(pids.begin(), pids.end());
  pids.erase(std::unique(pids.begin(), pids.end()), pids.end());
  for (const int32_t pid : pids) {
    if (pid > 0 && snapshot.process(pid) == nullptr) {
      leftovers.pids.emplace(pid, ask(proc, pid));
    }
  }
}

}  // namespace ipcscope
