// SPDX-License-Identifier: GPL-2.0-or-later
#include "analysis/lock_use.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

namespace ipcscope {

std::vector<LockWaiter> waiters_of(const LockUse& lock) {
  std::vector<LockWaiter> waiters;
  std::unordered_map<uint32_t, size_t> known;
  for (const LockPair& pair : lock.pairs) {
    const auto [at, is_new] = known.try_emplace(pair.waiter, waiters.size());
    if (is_new) {
      waiters.push_back({.thread = pair.waiter});
    }
    LockWaiter& waiter = waiters[at->second];
    waiter.waits += pair.waits;
    waiter.unfinished += pair.unfinished;
    waiter.wait_ns += pair.wait_ns;
    waiter.max_ns = std::max(waiter.max_ns, pair.max_ns);
    waiter.overtakes += pair.overtakes;
    waiter.overtakes_max = std::max(waiter.overtakes_max, pair.overtakes_max);
    waiter.attempts += pair.attempts;
    waiter.attempt_max_ns = std::max(waiter.attempt_max_ns, pair.attempt_max_ns);
    waiter.read_max_ns = std::max(waiter.read_max_ns, pair.read_max_ns);
  }
  std::stable_sort(waiters.begin(), waiters.end(),
                   [](const LockWaiter& a, const LockWaiter& b) { return a.wait_ns > b.wait_ns; });
  return waiters;
}

std::vector<LockHolder> holders_of(const LockUse& lock) {
  std::vector<LockHolder> holders;
  std::unordered_map<uint32_t, size_t> known;
  std::unordered_map<uint32_t, std::unordered_set<uint32_t>> waiters;
  uint64_t all_ns = 0;
  for (const LockPair& pair : lock.pairs) {
    all_ns += pair.wait_ns;
    if (pair.holder == no_index) {
      continue;
    }
    const auto [at, is_new] = known.try_emplace(pair.holder, holders.size());
    if (is_new) {
      holders.push_back({.thread = pair.holder});
    }
    LockHolder& holder = holders[at->second];
    holder.source = pair.source;
    holder.waits += pair.waits;
    holder.wait_ns += pair.wait_ns;
    holder.waiters += waiters[pair.holder].insert(pair.waiter).second ? 1 : 0;
  }
  // Waits that are in no pair have an unknown holder.
  all_ns = std::max(all_ns, lock.total_ns);
  for (LockHolder& holder : holders) {
    holder.share =
        all_ns != 0 ? static_cast<double>(holder.wait_ns) / static_cast<double>(all_ns) : 0;
  }
  std::stable_sort(holders.begin(), holders.end(),
                   [](const LockHolder& a, const LockHolder& b) { return a.wait_ns > b.wait_ns; });
  return holders;
}

std::optional<uint64_t> fact_of(const LockUse& lock, std::string_view key) {
  for (const auto& [name, value] : lock.facts) {
    if (name == key) {
      return value;
    }
  }
  return std::nullopt;
}

uint64_t woken_waits(const LockUse& lock) {
  return lock.ends[static_cast<size_t>(WaitEnd::woken)] +
         lock.ends[static_cast<size_t>(WaitEnd::owner_died)];
}

uint64_t percentile_of(const LockUse& lock, double share) {
  return std::min(lock.histogram.percentile(share), lock.max_ns);
}

LockHold all_holds(const LockUse& lock) {
  LockHold sum;
  for (const LockHold& each : lock.holds) {
    sum.taken += each.taken;
    sum.total_ns += each.total_ns;
    sum.max_ns = std::max(sum.max_ns, each.max_ns);
    sum.given += each.given;
    sum.signals += each.signals;
  }
  return sum;
}

uint64_t held_percentile(const LockUse& lock, double share) {
  return std::min(lock.held.percentile(share), all_holds(lock).max_ns);
}

bool hands_out_work(const LockUse& lock) {
  if (lock.primitive != "semaphore") {
    return false;
  }
  std::unordered_set<uint32_t> waiters;
  for (const LockPair& pair : lock.pairs) {
    waiters.insert(pair.waiter);
  }
  uint64_t by_waiters = 0, by_others = 0;
  for (const LockPair& pair : lock.pairs) {
    if (pair.holder != no_index) {
      (waiters.contains(pair.holder) ? by_waiters : by_others) += pair.waits - pair.unfinished;
    }
  }
  return by_others >= by_waiters;  // nobody woke anybody: as far as was seen, work may come
}

bool is_in_the_way(const LockUse& lock) {
  return lock.purpose == WaitPurpose::room ||
         (lock.purpose == WaitPurpose::lock && !hands_out_work(lock));
}

std::string thread_text(const LockThread& thread) {
  return thread.pid == 0 || thread.pid == thread.tid
             ? fmt::format("{}[{}]", thread.comm, thread.tid)
             : fmt::format("{}[{}/{}]", thread.comm, thread.pid, thread.tid);
}

std::string lock_text(const LockUse& lock) {
  const std::string primitive = lock.primitive.empty() || lock.primitive == "unknown"
                                    ? std::string(kind_name(lock.kind))
                                    : lock.primitive;
  if (lock.name.empty() || lock.id.find(lock.name) != std::string::npos) {
    return fmt::format("{} {}", primitive, lock.id);
  }
  return fmt::format("{} {} ({})", primitive, lock.name, lock.id);
}

}  // namespace ipcscope
