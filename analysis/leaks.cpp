// SPDX-License-Identifier: GPL-2.0-or-later
#include "analysis/leaks.h"

#include <fmt/format.h>

#include <algorithm>

#include "analysis/leak_judge.h"

namespace ipcscope {

namespace {

struct Rule {
  Kind kind;
  const char* name;
  void (*judge)(const Judge& judge, const Channel& channel, Leak& leak);
};

constexpr Rule rules[] = {
    {Kind::shm, "leaked-shm", judge_shm},
    {Kind::sem, "leaked-sem", judge_sem},
    {Kind::msg, "leaked-msg", judge_msg},
    {Kind::posixshm, "leaked-posix-shm", judge_posix_shm},
    {Kind::posixsem, "leaked-posix-sem", judge_posix_sem},
    {Kind::mq, "leaked-mq", judge_mq},
};

struct PathRule {
  PathFact::Type type;
  const char* name;
  const char* kind;
};

constexpr PathRule path_rules[] = {
    {PathFact::Type::socket, "stale-socket", "unix"},
    {PathFact::Type::fifo, "unused-fifo", "fifo"},
    {PathFact::Type::lock_file, "abandoned-lock-file", "file"},
};

Leak judge_file(const Judge& judge, const PathFact& path) {
  const auto* const rule =
      std::find_if(std::begin(path_rules), std::end(path_rules),
                   [&](const PathRule& each) { return each.type == path.type; });
  Leak leak;
  leak.rule = rule->name;
  leak.kind = rule->kind;
  leak.path = &path;
  leak.id = fmt::format("{}:{}", rule->kind, path.path);
  if (path.name_space != 0) {
    leak.id += fmt::format("@{}", path.name_space);
  }
  leak.name_space = path.name_space;
  leak.uid = path.uid;
  judge_path(judge, leak);
  return leak;
}

}  // namespace

std::string_view verdict_name(Verdict verdict) {
  switch (verdict) {
    case Verdict::leaked:
      return "leaked";
    case Verdict::suspect:
      return "suspect";
    case Verdict::info:
      return "info";
    case Verdict::live:
      return "live";
  }
  return "";
}

void Leak::add(const char* fact, std::string text, Verdict allows, std::string brief) {
  verdict = std::max(verdict, allows);
  evidence.push_back({fact, std::move(text), allows, std::move(brief)});
}

const LeakEvidence* Leak::deciding() const {
  const auto found =
      std::find_if(evidence.begin(), evidence.end(),
                   [this](const LeakEvidence& each) { return each.allows == verdict; });
  return found == evidence.end() ? nullptr : &*found;
}

std::vector<Leak> find_leaks(const Snapshot& snapshot, const Leftovers& leftovers,
                             const LeakQuery& query) {
  const Judge judge(snapshot, leftovers, query);
  std::vector<Leak> leaks;
  for (ChannelIndex i = 0; i < snapshot.channels.size(); i++) {
    const Channel& channel = snapshot.channels[i];
    const auto* const rule =
        std::find_if(std::begin(rules), std::end(rules),
                     [&](const Rule& each) { return each.kind == channel.kind; });
    if (rule == std::end(rules)) {
      continue;
    }
    Leak& leak = leaks.emplace_back();
    leak.rule = rule->name;
    leak.channel = i;
    leak.id = channel.id;
    leak.kind = kind_name(channel.kind);
    leak.name_space = channel.name_space;
    leak.uid = channel.uid;
    rule->judge(judge, channel, leak);
    judge_owner(judge, channel, leak);
  }
  for (const PathFact& path : leftovers.paths) {
    leaks.push_back(judge_file(judge, path));
  }
  return leaks;
}

}  // namespace ipcscope
