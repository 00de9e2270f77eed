// SPDX-License-Identifier: GPL-2.0-or-later
#include "analysis/lock_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <numeric>

#include "analysis/lock_case.h"
#include "analysis/lock_order.h"

namespace ipcscope {

namespace {

constexpr size_t most_named = 8;

struct RuleEntry {
  LockRule* rule;
  /// Where this one has spoken about a lock, the rule is silent: that one tells more.
  const char* unless;
};

constexpr RuleEntry rules[] = {
    {find_dead_owner, nullptr},
    {find_writer_starvation, nullptr},
    {find_starvation, "writer-starvation"},
    {find_message_starvation, nullptr},
    {find_imbalance, nullptr},
    {find_convoy, nullptr},
    {find_contention, "imbalance"},
    {find_lost_wakeup, nullptr},
};

bool has_rule(const std::vector<Finding>& found, size_t from, const char* rule) {
  return rule != nullptr &&
         std::any_of(found.begin() + static_cast<ptrdiff_t>(from), found.end(),
                     [&](const Finding& each) { return std::strcmp(each.rule, rule) == 0; });
}

}  // namespace

std::string count_of(uint64_t count, const char* noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string LockCase::names(const std::vector<uint32_t>& threads) const {
  std::string text;
  for (size_t i = 0; i < std::min(threads.size(), most_named); i++) {
    text += (i == 0 ? "" : ", ") + name(threads[i]);
  }
  if (threads.size() > most_named) {
    fmt::format_to(std::back_inserter(text), " and {} more", threads.size() - most_named);
  }
  return text;
}

std::string LockCase::holders_text() const {
  constexpr size_t most = 4;
  std::string text;
  for (size_t i = 0; i < std::min(holders.size(), most); i++) {
    fmt::format_to(std::back_inserter(text), "{}{} {:.0f}%", i == 0 ? "" : ", ",
                   name(holders[i].thread), holders[i].share * 100);
  }
  if (holders.size() > most) {
    fmt::format_to(std::back_inserter(text), " and {} more", holders.size() - most);
  }
  if (text.empty()) {
    return lock.source == HolderSource::none_by_design ? "none by design" : text;
  }
  if (lock.purpose == WaitPurpose::room) {
    return text;  // who makes room is who has to
  }
  switch (lock.source) {
    case HolderSource::none_by_design:
      return "none by design; woken by " + text;
    case HolderSource::waker:
      return "not known; woken by " + text;
    default:
      return text;
  }
}

Finding LockCase::finding(const char* rule, Severity severity,
                          const std::vector<uint32_t>& threads) const {
  Finding finding;
  finding.rule = rule;
  finding.severity = severity;
  finding.channels = {lock.id};
  for (const uint32_t each : threads) {
    if (each < window.threads.size()) {
      const LockThread& thread = window.threads[each];
      finding.tids.push_back(thread.tid);
      if (thread.pid != 0 &&
          std::find(finding.pids.begin(), finding.pids.end(), thread.pid) == finding.pids.end()) {
        finding.pids.push_back(thread.pid);
      }
    }
  }
  return finding;
}

double LockCase::percent_of_window(uint64_t ns) const {
  return window.window_ns == 0
             ? 0
             : static_cast<double>(ns) / static_cast<double>(window.window_ns) * 100;
}

std::vector<Finding> judge_locks(const LockWindow& window, const LockThresholds& thresholds) {
  std::vector<size_t> order(window.locks.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return window.locks[a].total_ns > window.locks[b].total_ns;
  });
  std::vector<Finding> found;
  for (const size_t index : order) {
    const LockUse& lock = window.locks[index];
    if (lock.waits == 0 && window.deep) {
      continue;  // only seen to be taken
    }
    const LockCase lock_case = {window, lock, thresholds, waiters_of(lock), holders_of(lock)};
    const size_t before = found.size();
    for (const auto& [rule, unless] : rules) {
      if (!has_rule(found, before, unless)) {
        rule(lock_case, found);
      }
    }
  }
  find_lock_orders(window, found);
  std::stable_sort(found.begin(), found.end(),
                   [](const Finding& a, const Finding& b) { return a.severity > b.severity; });
  return found;
}

}  // namespace ipcscope
