// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "analysis/lock_case.h"
#include "collectors/model/duration.h"

namespace ipcscope {

namespace {

std::vector<uint32_t> threads_of(const std::vector<LockWaiter>& waiters) {
  std::vector<uint32_t> threads;
  threads.reserve(waiters.size());
  for (const LockWaiter& each : waiters) {
    threads.push_back(each.thread);
  }
  return threads;
}

std::string waits_text(const LockUse& lock) {
  return fmt::format("{}{}, mean {}, p50 {}, p99 {}, longest {}", count_of(lock.waits, "wait"),
                     lock.unfinished != 0 ? fmt::format(" ({} unfinished)", lock.unfinished) : "",
                     nanoseconds_text(lock.total_ns / std::max(lock.waits, uint64_t{1})),
                     nanoseconds_text(percentile_of(lock, 0.5)),
                     nanoseconds_text(percentile_of(lock, 0.99)), nanoseconds_text(lock.max_ns));
}

/// How long a thread slept at anything but this lock, unless that is itself for room: then what
/// holds it up is further down.
uint64_t asleep_elsewhere(const LockCase& at, uint32_t thread, std::string& longest) {
  uint64_t sum = 0, most = 0;
  for (const LockUse& lock : at.window.locks) {
    if (lock.id == at.lock.id || lock.purpose == WaitPurpose::room) {
      continue;
    }
    for (const LockPair& pair : lock.pairs) {
      if (pair.waiter == thread) {
        sum += pair.wait_ns;
        if (pair.wait_ns > most) {
          most = pair.wait_ns;
          longest = lock_text(lock);
        }
      }
    }
  }
  return sum;
}

/// Threads that waited mostly behind this one.
uint64_t queue_behind(const LockCase& at, uint32_t holder) {
  uint64_t count = 0;
  for (const LockWaiter& waiter : at.waiters) {
    uint64_t behind_ns = 0;
    for (const LockPair& pair : at.lock.pairs) {
      behind_ns += pair.waiter == waiter.thread && pair.holder == holder ? pair.wait_ns : 0;
    }
    count +=
        behind_ns != 0 && static_cast<double>(behind_ns) * 100 >=
                              static_cast<double>(waiter.wait_ns) * at.thresholds.convoy_percent
            ? 1
            : 0;
  }
  return count;
}

bool has_reader(Kind kind) {
  switch (kind) {
    case Kind::pipe:
    case Kind::fifo:
    case Kind::unix_socket:
    case Kind::tcp:
    case Kind::udp:
    case Kind::msg:
    case Kind::mq:
      return true;
    default:
      return false;
  }
}

}  // namespace

void find_contention(const LockCase& at, std::vector<Finding>& found) {
  const LockUse& lock = at.lock;
  if (!is_in_the_way(lock) || at.waiters.empty() || at.window.window_ns == 0 ||
      woken_waits(lock) < at.thresholds.handovers) {
    return;
  }
  const double of_one = at.percent_of_window(lock.total_ns);
  const double of_each = of_one / static_cast<double>(at.waiters.size());
  if (of_each < at.thresholds.contention_percent &&
      of_one < at.thresholds.contention_percent * 10) {
    return;
  }
  const bool room = lock.purpose == WaitPurpose::room;
  Finding finding =
      at.finding("contention", room ? Severity::info : Severity::warning, threads_of(at.waiters));
  const bool one = at.waiters.size() == 1;
  finding.summary =
      fmt::format("{} {} {:.0f}% of {} time waiting for {}{}",
                  count_of(at.waiters.size(), "thread"), one ? "spends" : "spend", of_each,
                  one ? "its" : "their", room ? "room in " : "", lock_text(lock));
  finding.evidence.push_back(
      {"cost", fmt::format("{} in {} of {}", nanoseconds_text(lock.total_ns),
                           nanoseconds_text(at.window.window_ns),
                           at.waiters.size() == 1 ? at.name(at.waiters.front().thread)
                                                  : count_of(at.waiters.size(), "thread"))});
  finding.evidence.push_back({"waits", waits_text(lock)});
  if (const std::string holders = at.holders_text(); !holders.empty()) {
    finding.evidence.push_back({room ? "reader" : "holder", holders});
  }
  finding.evidence.push_back({"waiters", at.names(threads_of(at.waiters))});
  finding.advice =
      room ? "the reader is slower than its writers: give it less to do or more threads; a larger "
             "buffer only evens out peaks"
           : "do less while it is held, or split what it guards; --stacks shows where it is taken";
  found.push_back(std::move(finding));
}

void find_convoy(const LockCase& at, std::vector<Finding>& found) {
  const LockUse& lock = at.lock;
  const LockThresholds& limits = at.thresholds;
  if (lock.purpose != WaitPurpose::lock || !is_in_the_way(lock) || at.holders.empty() ||
      woken_waits(lock) < limits.handovers || lock.longest_hold_ns < limits.convoy_hold_ns) {
    return;
  }
  const LockHolder& holder = at.holders.front();
  if (holder.share * 100 < limits.convoy_percent || holder.waits == 0 ||
      holder.wait_ns / holder.waits < limits.convoy_hold_ns / 4) {
    return;
  }
  const uint64_t queue = queue_behind(at, holder.thread);
  if (queue < limits.convoy_waiters) {
    return;
  }
  Finding finding = at.finding("convoy", Severity::warning, threads_of(at.waiters));
  finding.summary = fmt::format("{} queue for {} behind {}, which holds it for up to {} at once",
                                count_of(holder.waiters, "thread"), lock_text(lock),
                                at.name(holder.thread), nanoseconds_text(lock.longest_hold_ns));
  finding.evidence.push_back(
      {"holder",
       fmt::format("{:.0f}% of all the waiting is behind it: {} in {}", holder.share * 100,
                   nanoseconds_text(holder.wait_ns), count_of(holder.waits, "wait"))});
  finding.evidence.push_back({"waits", waits_text(lock)});
  finding.advice = fmt::format(
      "see what {} does while it holds the lock: input and output, sleeping or waiting there makes "
      "all others wait",
      at.name(holder.thread));
  found.push_back(std::move(finding));
}

void find_imbalance(const LockCase& at, std::vector<Finding>& found) {
  const LockUse& lock = at.lock;
  if (lock.purpose != WaitPurpose::room || !has_reader(lock.kind) || at.waiters.empty() ||
      at.window.window_ns == 0) {
    return;
  }
  const LockWaiter& writer = at.waiters.front();
  if (at.percent_of_window(writer.wait_ns) < at.thresholds.asleep_percent) {
    return;
  }
  uint64_t slept = fact_of(lock, "reader_slept_ns").value_or(0);
  std::string place;
  uint32_t reader = at.holders.empty() ? no_index : at.holders.front().thread;
  for (const LockHolder& each : at.holders) {
    std::string longest;
    if (const uint64_t elsewhere = asleep_elsewhere(at, each.thread, longest); elsewhere > slept) {
      slept = elsewhere;
      place = std::move(longest);
      reader = each.thread;
    }
  }
  // Both together are longer than the window by at least as long as they were at the same time.
  const double both = at.percent_of_window(writer.wait_ns) + at.percent_of_window(slept) - 100;
  if (both < at.thresholds.asleep_percent) {
    return;
  }
  Finding finding = at.finding("imbalance", Severity::warning, {writer.thread});
  const std::string who = reader == no_index ? "its reader" : "its reader " + at.name(reader);
  finding.summary = fmt::format("{} waits {:.0f}% of the time for room in {} while {} sleeps{}",
                                at.name(writer.thread), at.percent_of_window(writer.wait_ns),
                                lock_text(lock), who, place.empty() ? "" : " at " + place);
  if (reader != no_index && at.window.threads[reader].pid != 0) {
    finding.pids.push_back(at.window.threads[reader].pid);
  }
  finding.evidence.push_back({"writer", fmt::format("{} in {}", nanoseconds_text(writer.wait_ns),
                                                    count_of(writer.waits, "wait"))});
  finding.evidence.push_back(
      {"reader", fmt::format("asleep elsewhere for {} of {}", nanoseconds_text(slept),
                             nanoseconds_text(at.window.window_ns))});
  finding.evidence.push_back(
      {"overlap", fmt::format("at least {:.0f}% of the time both slept", both)});
  finding.advice =
      "let the reader read before it waits for anything else, or in a thread of its own";
  found.push_back(std::move(finding));
}

}  // namespace ipcscope
