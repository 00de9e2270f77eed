// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "analysis/lock_case.h"
#include "collectors/model/duration.h"

namespace ipcscope {

namespace {

/// Threads whose wait is unfinished, and how long the shortest of these has lasted.
struct Left {
  std::vector<uint32_t> threads;
  uint64_t least_ns = UINT64_MAX;
};

Left left_behind(const LockCase& at) {
  Left left;
  for (const LockWaiter& each : at.waiters) {
    if (each.unfinished != 0 && each.max_ns >= at.thresholds.lost_ns) {
      left.threads.push_back(each.thread);
      left.least_ns = std::min(left.least_ns, each.max_ns);
    }
  }
  return left;
}

/// Whether a thread that was woken here waits for an event again, here or at another word of the
/// same process: a condition variable has two. Workers do, when they have done their work.
bool come_back(const LockCase& at) {
  std::unordered_set<uint32_t> woken;
  for (const LockWaiter& each : at.waiters) {
    if (each.waits > 1) {
      return true;
    }
    if (each.unfinished == 0) {
      woken.insert(each.thread);
    }
  }
  for (const LockUse& lock : at.window.locks) {
    if (&lock == &at.lock || lock.kind != Kind::futex || lock.purpose != WaitPurpose::event) {
      continue;
    }
    for (const LockPair& pair : lock.pairs) {
      if (woken.contains(pair.waiter)) {
        return true;
      }
    }
  }
  return false;
}

}  // namespace

void find_dead_owner(const LockCase& at, std::vector<Finding>& found) {
  const LockUse& lock = at.lock;
  const uint64_t died = lock.ends[static_cast<size_t>(WaitEnd::owner_died)];
  const uint64_t waiting = fact_of(lock, "owner_gone").value_or(0);
  if (died == 0 && waiting == 0) {
    return;
  }
  std::vector<uint32_t> threads;
  for (const LockWaiter& each : at.waiters) {
    if (waiting == 0 || each.unfinished != 0) {
      threads.push_back(each.thread);
    }
  }
  Finding finding =
      at.finding("owner-died", waiting != 0 ? Severity::critical : Severity::warning, threads);
  if (waiting != 0) {
    finding.summary =
        fmt::format("{} {} for {}, whose owner has ended without letting go",
                    count_of(waiting, "thread"), waiting == 1 ? "waits" : "wait", lock_text(lock));
    finding.evidence.push_back({"waiters", at.names(threads)});
    finding.advice =
        "restart the waiters; a robust mutex (pthread_mutexattr_setrobust) would have told them";
  } else {
    finding.summary = fmt::format("an owner of {} ended without letting go", lock_text(lock));
    finding.advice =
        "what it guards may be half changed: see why the owner ended, and that EOWNERDEAD is "
        "answered with pthread_mutex_consistent()";
  }
  if (died != 0) {
    finding.evidence.push_back({"ended", count_of(died, "wait") + " by the owner's death"});
  }
  if (const std::string holders = at.holders_text(); !holders.empty()) {
    finding.evidence.push_back({"holder", holders});
  }
  found.push_back(std::move(finding));
}

void find_lost_wakeup(const LockCase& at, std::vector<Finding>& found) {
  const LockUse& lock = at.lock;
  const bool counts = lock.primitive == "semaphore";  // and so forgets no wake-up
  const uint64_t woken = woken_waits(lock);
  if (lock.kind != Kind::futex || (lock.purpose != WaitPurpose::event && !counts) ||
      lock.unfinished == 0 || woken == 0 || lock.primitive == "join") {
    return;
  }
  const Left left = left_behind(at);
  if (left.threads.empty()) {
    return;
  }
  uint64_t longest_ended = 0;
  for (const LockWaiter& each : at.waiters) {
    if (each.unfinished == 0) {
      longest_ended = std::max(longest_ended, each.max_ns);
    }
  }
  const auto releasers = fact_of(lock, "releasers_left");
  const bool nobody = releasers && *releasers == 0;
  const bool outlived =
      !counts && static_cast<double>(left.least_ns) >=
                     static_cast<double>(longest_ended) * at.thresholds.lost_times;
  if (!nobody && (!outlived || come_back(at))) {
    return;
  }
  Finding finding = at.finding("lost-wakeup", Severity::warning, left.threads);
  finding.summary =
      fmt::format("suspected: {} {} for {} to be signalled, {}", at.names(left.threads),
                  left.threads.size() == 1 ? "still waits" : "still wait", lock_text(lock),
                  nobody ? "and nobody is left that could"
                         : "others that waited there went on and did not come back");
  finding.evidence.push_back(
      {"waits", fmt::format("for at least {}", nanoseconds_text(left.least_ns))});
  finding.evidence.push_back(
      {"woken", longest_ended == 0
                    ? count_of(woken, "wait")
                    : fmt::format("{} of others, after {} at most", count_of(woken, "wait"),
                                  nanoseconds_text(longest_ended))});
  if (const std::string wakers = at.holders_text(); !wakers.empty()) {
    finding.evidence.push_back({"waker", wakers});
  }
  finding.advice = counts
                       ? "post it once for each thread that waits"
                       : "change the condition and signal it under one mutex, test it in a loop, "
                         "and wake all where one signal is for several waiters";
  found.push_back(std::move(finding));
}

}  // namespace ipcscope
