// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/live/locks_comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>
#include <set>

namespace ipcscope::live {

namespace {

constexpr double ns_of_ms = 1e6;
// Between a clock around an operation and the scheduler are the ways into the kernel and out.
constexpr double time_tolerance = 0.05, time_slack_ns = 50'000;
constexpr double count_tolerance = 0.01;
// Of the waiting at a lock. Who has less may have come between two looks.
constexpr double small_share = 0.1, main_share = 0.6, share_tolerance = 0.1;
// Wake-ups of others that an observer cannot tell from overtaking: one for each thread at hand.
constexpr int64_t overtakes_slack = 4;

/// What is said of a thread only where it is true of it, and of which others.
constexpr std::array<std::string_view, 2> starvations = {"starvation", "writer-starvation"};
constexpr std::array<std::string_view, 6> alarms = {"starvation",         "writer-starvation",
                                                    "message-starvation", "owner-died",
                                                    "lost-wakeup",        "imbalance"};

double number(const Json& value) { return value.IsNumber() ? value.GetDouble() : 0; }

int64_t whole(const Json& value) { return value.IsInt64() ? value.GetInt64() : 0; }

/// An address or offset behind the last "0x" of an id, and what is before it.
struct Place {
  std::string_view prefix;
  uint64_t number = 0;
};

std::optional<Place> place_of(std::string_view id) {
  const size_t at = id.rfind("0x");
  if (at == std::string_view::npos) {
    return std::nullopt;
  }
  Place place{id.substr(0, at), 0};
  const char* end = id.data() + id.size();
  const auto [last, error] = std::from_chars(id.data() + at + 2, end, place.number, 16);
  return error == std::errc() && last == end ? std::optional(place) : std::nullopt;
}

/// Whether an id is that of a lock, or of a word in its memory.
bool is_within(std::string_view id, const Json& lock) {
  const std::string_view begin = text_of(member(lock, "id"));
  const auto bytes = static_cast<uint64_t>(whole(member(lock, "bytes")));
  if (bytes == 0) {
    return id == begin;
  }
  const std::optional<Place> here = place_of(id);
  const std::optional<Place> there = place_of(begin);
  return here && there && here->prefix == there->prefix && here->number >= there->number &&
         here->number - there->number < bytes;
}

/// What the answer says of one lock, which may be several words, added up.
struct Seen {
  std::set<std::string> ids, kinds, primitives;
  int64_t waits = 0, unfinished = 0, overtakes_max = 0;
  double wait_ns = 0;
  std::map<std::string, int64_t> results;
  std::map<int64_t, double> share_ns;   ///< of holders: share of the wait, by TID
  std::map<int64_t, double> waiter_ns;  ///< of pairs, by TID
};

int64_t thread_of(const Json& holder) {
  const Json& tid = member(holder, "tid");
  return whole(tid.IsNull() ? member(holder, "pid") : tid);
}

void add(const Json& use, Seen& seen) {
  seen.ids.emplace(text_of(member(use, "id")));
  seen.kinds.emplace(text_of(member(use, "kind")));
  seen.primitives.emplace(text_of(member(use, "primitive")));
  seen.waits += whole(member(use, "waits"));
  seen.unfinished += whole(member(use, "unfinished"));
  seen.overtakes_max = std::max(seen.overtakes_max, whole(member(use, "overtakes_max")));
  const double total = number(member(member(use, "wait_ms"), "total")) * ns_of_ms;
  seen.wait_ns += total;
  if (const Json& results = member(use, "results"); results.IsObject()) {
    for (const auto& each : results.GetObject()) {
      seen.results[each.name.GetString()] += whole(each.value);
    }
  }
  if (const Json& holders = member(use, "holders"); holders.IsArray()) {
    for (const Json& each : holders.GetArray()) {
      seen.share_ns[thread_of(each)] += number(member(each, "share")) * total;
    }
  }
  if (const Json& pairs = member(use, "pairs"); pairs.IsArray()) {
    for (const Json& each : pairs.GetArray()) {
      seen.waiter_ns[whole(member(each, "waiter"))] += number(member(each, "wait_ms")) * ns_of_ms;
    }
  }
}

/// A queue has two: who waits for data is none of those who wait for room.
bool is_same_purpose(const Json& lock, const Json& use) {
  const std::string_view wanted = text_of(member(lock, "purpose"));
  const std::string_view purpose = text_of(member(use, "purpose"));
  return purpose.empty() || purpose == wanted || (wanted != "room" && purpose != "room");
}

Seen find_uses(const Json& lock, const Json& answer) {
  Seen seen;
  for (const Json& use : member(answer, "locks").GetArray()) {
    if (is_within(text_of(member(use, "id")), lock) && is_same_purpose(lock, use)) {
      add(use, seen);
    }
  }
  return seen;
}

/// Compares one lock; what is wrong goes to problems, with its id.
class LockComparison {
 public:
  LockComparison(const Json& lock, Seen seen, double later_ns, Problems& problems)
      : lock_(lock), seen_(std::move(seen)), later_ns_(later_ns), problems_(problems) {}

  void compare() {
    if (whole(member(lock_, "waits")) == 0) {
      // Perhaps it is not listed at all, which is right.
      compare_numbers();
      return;
    }
    if (seen_.waits == 0) {
      wrong("no wait was seen");
      return;
    }
    compare_names();
    compare_numbers();
    compare_results();
    compare_waiters();
    compare_holders();
    compare_overtakes();
  }

 private:
  template <typename... T>
  void wrong(fmt::format_string<T...> format, T&&... values) {
    problems_.push_back(fmt::format("{}: {}", text_of(member(lock_, "id")),
                                    fmt::format(format, std::forward<T>(values)...)));
  }

  void compare_names() {
    const std::string kind(text_of(member(lock_, "kind")));
    if (seen_.kinds != std::set<std::string>{kind}) {
      wrong("the kind is {}, not {}", fmt::join(seen_.kinds, ","), kind);
    }
    const std::string primitive(text_of(member(lock_, "primitive")));
    if (primitive != "unknown" && seen_.primitives != std::set<std::string>{primitive}) {
      wrong("the primitive is {}, not {}", fmt::join(seen_.primitives, ","), primitive);
    }
    const auto distinct = static_cast<size_t>(whole(member(lock_, "distinct")));
    if (distinct > 1 && seen_.ids.size() != distinct) {
      wrong("{} locks, not {}", seen_.ids.size(), distinct);
    }
  }

  void compare_numbers() {
    const int64_t waits = whole(member(lock_, "waits"));
    const auto most = static_cast<int64_t>(count_tolerance * static_cast<double>(waits));
    if (std::abs(seen_.waits - waits) > most) {
      wrong("{} waits, not {}", seen_.waits, waits);
    }
    if (seen_.unfinished != whole(member(lock_, "unfinished"))) {
      wrong("{} unfinished waits, not {}", seen_.unfinished, whole(member(lock_, "unfinished")));
    }
    compare_time("the waits take", seen_.wait_ns, number(member(lock_, "wait_ns")),
                 whole(member(lock_, "unfinished")));
  }

  void compare_time(std::string_view what, double ns, double truth_ns, int64_t unfinished) {
    const double tolerance = time_tolerance * truth_ns + time_slack_ns;
    const double longest =
        truth_ns + static_cast<double>(unfinished) * later_ns_ * (1 + time_tolerance);
    if (ns < truth_ns - tolerance || ns > longest + tolerance) {
      wrong("{} {:.3f} ms, not {:.3f}", what, ns / ns_of_ms, truth_ns / ns_of_ms);
    }
  }

  void compare_results() {
    const Json& results = member(lock_, "results");
    for (const char* result : {"timed_out", "owner_died"}) {
      if (seen_.results[result] != whole(member(results, result))) {
        wrong("{} waits {}, not {}", seen_.results[result], result, whole(member(results, result)));
      }
    }
  }

  void compare_waiters() {
    for (const Json& thread : member(lock_, "threads").GetArray()) {
      compare_time(fmt::format("those of {}", text_of(member(thread, "comm"))),
                   seen_.waiter_ns[whole(member(thread, "tid"))], number(member(thread, "wait_ns")),
                   whole(member(thread, "unfinished")));
    }
  }

  /// A share of the wait that was seen.
  [[nodiscard]] double share(int64_t tid) const {
    const auto found = seen_.share_ns.find(tid);
    return found == seen_.share_ns.end() || seen_.wait_ns == 0 ? 0 : found->second / seen_.wait_ns;
  }

  void compare_holders() {
    if (text_of(member(lock_, "primitive")) == "join") {
      return;  // the thread that is joined wakes the other when it has ended, and cannot report
               // that
    }
    std::set<int64_t> allowed;
    for (const char* list : {"holders", "releasers"}) {
      for (const Json& tid : member(lock_, list).GetArray()) {
        allowed.insert(whole(tid));
      }
    }
    for (const auto& [tid, ns] : seen_.share_ns) {
      if (share(tid) > small_share && allowed.count(tid) == 0) {
        wrong("{} is a holder of {:.0f} %, which it never was", tid, share(tid) * 100);
      }
    }
    std::map<int64_t, double> truth;
    double all = 0;
    for (const Json& pair : member(lock_, "pairs").GetArray()) {
      truth[whole(member(pair, "holder"))] += number(member(pair, "wait_ns"));
      all += number(member(pair, "wait_ns"));
    }
    for (const auto& [tid, ns] : truth) {
      const double expected = ns / all;
      if (expected > small_share && share(tid) == 0) {
        wrong("{} is no holder, but had it for {:.0f} %", tid, expected * 100);
      } else if (expected > main_share && std::abs(share(tid) - expected) > share_tolerance) {
        wrong("{} is a holder of {:.0f} %, not {:.0f} %", tid, share(tid) * 100, expected * 100);
      }
    }
  }

  /// What an observer tells is a lower bound.
  void compare_overtakes() {
    if (text_of(member(lock_, "purpose")) != "lock") {
      return;
    }
    int64_t most = 0;
    for (const Json& thread : member(lock_, "threads").GetArray()) {
      most = std::max(most, whole(member(thread, "overtaken")));
    }
    if (!member(lock_, "threads").Empty() && seen_.overtakes_max > most + overtakes_slack) {
      wrong("{} overtakes in one attempt, where there were {}", seen_.overtakes_max, most);
    }
  }

  const Json& lock_;
  Seen seen_;
  double later_ns_;
  Problems& problems_;
};

bool has(const Json& list, const Json& value) {
  return list.IsArray() && std::find(list.Begin(), list.End(), value) != list.End();
}

bool has_text(const Json& list, std::string_view text) {
  return list.IsArray() && std::any_of(list.Begin(), list.End(),
                                       [&](const Json& each) { return text_of(each) == text; });
}

/// Whether a finding names a lock of the fixture.
bool is_own(const Json& finding, const Json& did) {
  for (const Json& channel : member(finding, "channels").GetArray()) {
    for (const Json& lock : member(did, "locks").GetArray()) {
      if (is_within(text_of(channel), lock)) {
        return true;
      }
    }
  }
  return false;
}

bool has_role(const Json& did, std::string_view role) {
  for (const Json& lock : member(did, "locks").GetArray()) {
    for (const Json& thread : member(lock, "threads").GetArray()) {
      if (text_of(member(thread, "role")) == role) {
        return true;
      }
    }
  }
  return false;
}

void compare_starved(const Json& did, const Json& answer, Problems& problems) {
  std::set<int64_t> expected, got;
  for (const Json& tid : member(did, "starved").GetArray()) {
    expected.insert(whole(tid));
  }
  for (const Json& finding : member(answer, "findings").GetArray()) {
    const std::string_view rule = text_of(member(finding, "rule"));
    if (std::find(starvations.begin(), starvations.end(), rule) == starvations.end()) {
      continue;
    }
    for (const Json& tid : member(finding, "tids").GetArray()) {
      got.insert(whole(tid));
    }
  }
  if (got != expected) {
    problems.push_back(
        fmt::format("threads {} starve, not {}", fmt::join(got, ","), fmt::join(expected, ",")));
  }
}

void compare_findings(const Json& did, const Json& answer, Problems& problems) {
  std::set<std::string> got;
  for (const Json& finding : member(answer, "findings").GetArray()) {
    const std::string rule(text_of(member(finding, "rule")));
    if (is_own(finding, did)) {
      got.insert(rule);
    }
    // Who holds a lock for long may make a convoy; fair turns never do.
    const bool is_alarm = std::find(alarms.begin(), alarms.end(), rule) != alarms.end() ||
                          (rule == "convoy" && has_role(did, "fair"));
    if (is_alarm && !has_text(member(did, "findings"), rule)) {
      problems.push_back(fmt::format("the finding {} is due nowhere: {}", rule,
                                     text_of(member(finding, "summary"))));
    }
    if (rule == "message-starvation") {
      for (const Json& channel : member(finding, "channels").GetArray()) {
        if (!has(member(did, "starved_channels"), channel)) {
          problems.push_back(fmt::format("no message starves in {}", text_of(channel)));
        }
      }
    }
  }
  for (const Json& rule : member(did, "findings").GetArray()) {
    if (got.count(rule.GetString()) == 0) {
      problems.push_back(
          fmt::format("no finding {}; there are: {}", rule.GetString(),
                      got.empty() ? "none" : fmt::format("{}", fmt::join(got, ","))));
    }
  }
  compare_starved(did, answer, problems);
}

/// No waits where there is nothing that the kernel could have seen.
void compare_silence(const Json& did, const Json& answer, Problems& problems) {
  if (!member(did, "locks").Empty()) {
    return;
  }
  for (const Json& use : member(answer, "locks").GetArray()) {
    if (text_of(member(use, "kind")) == "signal") {  // players begin and end with that
      continue;
    }
    problems.push_back(fmt::format("{} waits at {}, where nobody waited",
                                   whole(member(use, "waits")), text_of(member(use, "id"))));
  }
}

}  // namespace

Problems compare_locks(const Json& did, const Json& answer, double later_ns) {
  Problems problems;
  for (const char* list : {"locks", "threads", "findings", "coverage"}) {
    if (!member(answer, list).IsArray()) {
      problems.push_back(fmt::format("the answer has no list {}", list));
      return problems;
    }
  }
  for (const Json& lock : member(did, "locks").GetArray()) {
    LockComparison(lock, find_uses(lock, answer), later_ns, problems).compare();
  }
  compare_findings(did, answer, problems);
  compare_silence(did, answer, problems);
  return problems;
}

std::string describe_locks(const Json& did, const Json& answer) {
  std::string text = fmt::format("{:28}", text_of(member(did, "did")));
  for (const Json& lock : member(did, "locks").GetArray()) {
    const Seen seen = find_uses(lock, answer);
    const double ns = number(member(lock, "wait_ns"));
    text += fmt::format(" {} {}/{} waits", text_of(member(lock, "primitive")), seen.waits,
                        whole(member(lock, "waits")));
    if (ns > 0) {
      text += fmt::format(" {:+.1f}% time", (seen.wait_ns / ns - 1) * 100);
    }
  }
  return text + "\n";
}

}  // namespace ipcscope::live
