// SPDX-License-Identifier: GPL-2.0-or-later
#include "analysis/limits.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <tuple>

#include "analysis/limit_table.h"

namespace ipcscope {

namespace {

using Place = LimitPlace::Kind;

/// Exact enough for 64 bits, and without overflow.
double share(uint64_t used, uint64_t limit) {
  if (limit == 0) {
    return used == 0 ? 0 : 1;
  }
  return static_cast<double>(used) / static_cast<double>(limit);
}

bool reaches(const LimitUse& use, unsigned percent) {
  return use.used && use.limit && share(*use.used, *use.limit) * 100 >= percent;
}

/// A process that has more open than it may has lowered its limit after it opened them: a sandbox
/// does, so that nothing can be opened any more.
bool is_sandbox(const LimitUse& use) {
  return use.id == LimitId::rlimit_nofile && use.used && use.limit && *use.used > *use.limit;
}

Severity severity_of(const LimitUse& use, bool exempt) {
  // An upper bound proves nothing.
  if (use.ceiling || exempt || use.at_most || is_sandbox(use)) {
    return Severity::info;
  }
  return reaches(use, limit_critical)  ? Severity::critical
         : reaches(use, limit_warning) ? Severity::warning
                                       : Severity::info;
}

std::string in_name_space(std::string_view word, uint32_t name_space) {
  return name_space == 0 ? std::string(word) : fmt::format("{}@{}", word, name_space);
}

std::string scope_of(const LimitPlace& place) {
  switch (place.kind) {
    case Place::host:
      return "host";
    case Place::ipc:
      return in_name_space("ipc", place.name_space);
    case Place::net:
      return in_name_space("net", place.name_space);
    case Place::pid_ns:
      return in_name_space("pid", place.name_space);
    case Place::user:
      return in_name_space(fmt::format("user:{}", place.uid), place.name_space);
    case Place::process:
      return fmt::format("process:{}", place.pid);
    case Place::cgroup:
      return "cgroup:" + place.name;
    case Place::mount:
      return in_name_space("mount:" + place.name, place.name_space);
    case Place::channel:
      return place.name;
  }
  return {};
}

LimitUse judge(const LimitFact& fact) {
  const LimitRule& rule = limit_rule(fact.id);
  LimitUse use;
  use.id = fact.id;
  use.name = rule.name;
  use.place = fact.place;
  use.scope = scope_of(fact.place);
  use.used = fact.used;
  use.limit = fact.limit;
  use.users = fact.users;
  use.unit = rule.unit;
  use.ceiling = rule.ceiling;
  use.unlimited = fact.unlimited;
  use.at_most = fact.at_most;
  use.note = fact.note;
  if (fact.id == LimitId::huge_pages && !fact.place.name.empty()) {
    use.name += " " + fact.place.name;
  }
  use.severity = severity_of(use, fact.exempt);
  const auto add_note = [&](std::string_view text) {
    use.note += use.note.empty() ? "" : "; ";
    use.note += text;
  };
  if (fact.exempt && reaches(use, limit_warning)) {
    add_note("not enforced: all that may use it have CAP_SYS_RESOURCE or CAP_SYS_ADMIN");
  }
  if (is_sandbox(use)) {
    add_note("the limit was lowered below what was open");
  }
  if (rule.note != nullptr) {
    add_note(rule.note);
  }
  if (fact.limit) {
    use.remedy = remedy_of(fact);
  }
  return use;
}

LimitUse judge(const LimitProcess& process) {
  LimitFact fact;
  fact.id = LimitId::rlimit_nofile;
  fact.place.kind = Place::process;
  fact.place.pid = process.pid;
  fact.used = process.descriptors;
  fact.limit = process.nofile.soft;
  fact.unlimited = process.has_limits && !fact.limit;
  if (process.nofile.hard) {
    fact.setting = {*process.nofile.hard};
  }
  if (!process.descriptors) {
    fact.note = "its descriptors could not be counted";
  } else if (!process.has_limits) {
    fact.note = "its limits could not be read";
  }
  fact.users = {{process.pid, process.euid, process.comm, process.descriptors.value_or(0)}};
  return judge(fact);
}

/// Whether a limit is one that this process is under.
bool concerns(const LimitFact& fact, const LimitProcess& process, const LimitFacts& facts) {
  const LimitPlace& place = fact.place;
  const auto is_in = [&](uint32_t name_space) {
    return place.name_space == name_space ||
           std::find(fact.shared.begin(), fact.shared.end(), name_space) != fact.shared.end();
  };
  switch (place.kind) {
    case Place::host:
      return true;
    case Place::ipc:
      return is_in(process.ipc_ns);
    case Place::net:
      return is_in(process.net_ns);
    case Place::pid_ns:
      return is_in(process.pid_ns);
    case Place::mount:
      return is_in(process.mnt_ns);
    case Place::user:
      // What the kernel counts without regard to user namespaces has none in its place.
      return (place.uid == process.uid || place.uid == process.euid) &&
             (place.name_space == process.user_ns || place.name_space == 0);
    case Place::process:
      return place.pid == process.pid;
    case Place::channel:
      return std::any_of(fact.users.begin(), fact.users.end(),
                         [&](const LimitUser& user) { return user.pid == process.pid; });
    case Place::cgroup: {
      if (process.cgroup >= facts.cgroups.size()) {
        return false;
      }
      const std::string_view path = facts.cgroups[process.cgroup];
      return path.starts_with(place.name) &&
             (path.size() == place.name.size() || path[place.name.size()] == '/');
    }
  }
  return false;
}

void judge_processes(const LimitFacts& facts, const LimitProcess* about,
                     std::vector<LimitUse>& uses) {
  if (about != nullptr) {
    uses.push_back(judge(*about));
    return;
  }
  const LimitProcess* nearest = nullptr;
  double nearest_share = -1;
  for (const LimitProcess& process : facts.processes) {
    if (!process.descriptors || !process.nofile.soft ||
        *process.descriptors > *process.nofile.soft) {
      continue;
    }
    const double part = share(*process.descriptors, *process.nofile.soft);
    if (part * 100 >= limit_warning) {
      uses.push_back(judge(process));
    } else if (part > nearest_share) {
      nearest_share = part;
      nearest = &process;
    }
  }
  if (nearest != nullptr) {
    uses.push_back(judge(*nearest));
  }
}

/// Nearest first: what can be told before what cannot, sums before caps on one object.
bool is_nearer(const LimitUse& a, const LimitUse& b) {
  const auto rank = [](const LimitUse& use) {
    const bool known = use.used && use.limit;
    return std::tuple(-static_cast<int>(use.severity), use.ceiling, !known,
                      known ? -share(*use.used, *use.limit) : 0.0, static_cast<int>(use.id));
  };
  const auto left = rank(a);
  const auto right = rank(b);
  return left != right ? left < right : a.scope < b.scope;
}

/// "4,096", "1.5 MiB"
std::string amount(uint64_t value, LimitUnit unit) {
  if (unit == LimitUnit::bytes && value >= 1024) {
    static constexpr std::string_view units = "KMGTPE";
    auto scaled = static_cast<double>(value) / 1024;
    size_t at = 0;
    for (; scaled >= 1023.5 && at + 1 < units.size(); at++) {
      scaled /= 1024;
    }
    return fmt::format("{:.{}f} {}iB", scaled, scaled < 100 ? 1 : 0, units[at]);
  }
  std::string text = std::to_string(value);
  for (size_t at = text.size(); at > 3; at -= 3) {
    text.insert(at - 3, 1, ',');
  }
  return unit == LimitUnit::bytes ? text + " bytes" : text;
}

std::string place_words(const LimitUse& use) {
  const LimitPlace& place = use.place;
  const auto name_space = [&](std::string_view type) {
    return place.name_space == 0
               ? fmt::format("this {} namespace", type)
               : fmt::format("{} namespace {} (process {})", type, place.name_space, place.pid);
  };
  switch (place.kind) {
    case Place::host:
      return "the host";
    case Place::ipc:
      return name_space("IPC");
    case Place::net:
      return name_space("network");
    case Place::pid_ns:
      return name_space("PID");
    case Place::user:
      return place.name_space == 0
                 ? fmt::format("user {}", place.uid)
                 : fmt::format("user {} in user namespace {}", place.uid, place.name_space);
    case Place::process:
      return use.users.empty() ? fmt::format("process {}", place.pid)
                               : fmt::format("{}[{}]", use.users.front().comm, place.pid);
    case Place::cgroup:
      return "cgroup " + place.name;
    case Place::mount:
      return place.name_space == 0
                 ? std::string("this mount namespace")
                 : fmt::format("mount namespace {} (process {})", place.name_space, place.pid);
    case Place::channel:
      return place.name;
  }
  return {};
}

std::string users_text(const LimitUse& use) {
  std::string text;
  for (const LimitUser& user : use.users) {
    text += text.empty() ? "" : ", ";
    text += user.pid != 0 ? fmt::format("{}[{}]", user.comm, user.pid)
                          : fmt::format("user {}", user.uid);
    if (user.used != 0 && use.place.kind != Place::process) {
      text += fmt::format(" ({})", amount(user.used, use.unit));
    }
  }
  return text;
}

}  // namespace

std::optional<unsigned> limit_percent(const LimitUse& use) {
  if (!use.used || !use.limit) {
    return std::nullopt;
  }
  const double part = share(*use.used, *use.limit) * 100;
  return static_cast<unsigned>(std::min(part, *use.used < *use.limit ? 99.0 : 999.0));
}

std::vector<LimitUse> judge_limits(const LimitFacts& facts, const LimitQuery& query) {
  const LimitProcess* about = nullptr;
  if (query.pid != 0) {
    const auto found =
        std::find_if(facts.processes.begin(), facts.processes.end(),
                     [&](const LimitProcess& each) { return each.pid == query.pid; });
    if (found == facts.processes.end()) {
      return {};
    }
    about = &*found;
  }
  std::vector<LimitUse> uses;
  // A namespace of whose channels some are told needs no line for the others.
  std::set<std::tuple<LimitId, uint32_t>> told;
  for (const LimitFact& fact : facts.facts) {
    if (about != nullptr && !concerns(fact, *about, facts)) {
      continue;
    }
    const auto key = std::tuple(fact.id, fact.place.name_space);
    if (fact.place.kind == Place::channel) {
      told.insert(key);
    } else if (fact.place.kind != Place::user && told.count(key) != 0) {
      continue;
    }
    const bool is_elsewhere = fact.place.name_space != 0;
    if (about == nullptr && is_elsewhere && fact.used.value_or(0) == 0) {
      continue;
    }
    uses.push_back(judge(fact));
  }
  judge_processes(facts, about, uses);
  std::sort(uses.begin(), uses.end(), is_nearer);
  return uses;
}

std::vector<Finding> near_limits(const std::vector<LimitUse>& uses) {
  std::vector<Finding> findings;
  for (const LimitUse& use : uses) {
    if (use.severity == Severity::info) {
      continue;
    }
    Finding& finding = findings.emplace_back();
    finding.rule = "near-limit";
    finding.severity = use.severity;
    finding.summary =
        fmt::format("{} of {}: {} of {} ({} %)", use.name, place_words(use),
                    amount(use.used.value_or(0), use.unit), amount(use.limit.value_or(0), use.unit),
                    limit_percent(use).value_or(0));
    for (const LimitUser& user : use.users) {
      if (user.pid != 0) {
        finding.pids.push_back(user.pid);
      }
    }
    if (use.place.kind == Place::channel) {
      finding.channels.push_back(use.place.name);
    }
    if (std::string text = users_text(use); !text.empty()) {
      finding.evidence.push_back({"by", std::move(text)});
    }
    if (!use.note.empty()) {
      finding.evidence.push_back({"note", use.note});
    }
    finding.advice = use.remedy;
  }
  return findings;
}

}  // namespace ipcscope
