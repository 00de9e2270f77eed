// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "analysis/lock_case.h"
#include "collectors/model/duration.h"

namespace ipcscope {

namespace {

/// What another thread's attempts took; nothing where it does not wait.
struct Peer {
  uint64_t mean_ns = 0;
  uint64_t worst_ns = 0;
};

Peer peer_of(const LockCase& at, uint32_t thread) {
  for (const LockWaiter& each : at.waiters) {
    if (each.thread == thread) {
      return {each.attempt_mean_ns(), each.attempt_max_ns};
    }
  }
  return {};
}

/// With whom the waiter has to compare itself: with those that it finds there again and again in
/// one attempt, who may not wait at all; else with all others that wait.
std::vector<Peer> peers_of(const LockCase& at, const LockWaiter& waiter) {
  std::vector<Peer> peers;
  for (const LockPair& pair : at.lock.pairs) {
    if (pair.waiter == waiter.thread && pair.holder != no_index && pair.holder != waiter.thread &&
        pair.waits >= at.thresholds.overtakes * std::max(waiter.attempts, uint64_t{1})) {
      peers.push_back(peer_of(at, pair.holder));
    }
  }
  if (peers.empty()) {
    for (const LockWaiter& each : at.waiters) {
      if (each.thread != waiter.thread) {
        peers.push_back({each.attempt_mean_ns(), each.attempt_max_ns});
      }
    }
  }
  return peers;
}

/// Of an even number the upper one, which makes it harder to starve.
uint64_t median(std::vector<Peer> peers, uint64_t Peer::*value) {
  if (peers.empty()) {
    return 0;
  }
  const auto middle = peers.begin() + static_cast<ptrdiff_t>(peers.size() / 2);
  std::nth_element(peers.begin(), middle, peers.end(),
                   [&](const Peer& a, const Peer& b) { return a.*value < b.*value; });
  return (*middle).*value;
}

bool exceeds(uint64_t value, uint64_t other, double times) {
  return static_cast<double>(value) >= static_cast<double>(other) * times;
}

struct Starved {
  const LockWaiter* waiter = nullptr;
  uint64_t median_ns = 0;
};

std::vector<Starved> starved_at(const LockCase& at) {
  const LockThresholds& limits = at.thresholds;
  std::vector<Starved> starved;
  // What times out is not taken by anybody.
  if (woken_waits(at.lock) < limits.overtakes) {
    return starved;
  }
  for (const LockWaiter& waiter : at.waiters) {
    if (waiter.overtakes_max < limits.overtakes || waiter.attempt_max_ns < limits.attempt_ns) {
      continue;
    }
    const std::vector<Peer> peers = peers_of(at, waiter);
    const uint64_t median_ns = median(peers, &Peer::mean_ns);
    const bool lasts = at.percent_of_window(waiter.attempt_max_ns) >= limits.attempt_percent ||
                       exceeds(waiter.attempt_mean_ns(), median_ns, limits.times_worst);
    if (!peers.empty() && lasts && exceeds(waiter.attempt_max_ns, median_ns, limits.times_median) &&
        exceeds(waiter.attempt_max_ns, median(peers, &Peer::worst_ns), limits.times_worst)) {
      starved.push_back({&waiter, median_ns});
    }
  }
  std::stable_sort(starved.begin(), starved.end(), [](const Starved& a, const Starved& b) {
    return a.waiter->overtakes_max > b.waiter->overtakes_max;
  });
  return starved;
}

std::string overtaken_text(const LockCase& at, const LockWaiter& waiter) {
  return fmt::format("{}: {} in one attempt of {}", at.name(waiter.thread),
                     count_of(waiter.overtakes_max, "time"),
                     nanoseconds_text(waiter.attempt_max_ns));
}

/// The threads of an rwlock wait at two words and wake each other at the other one, so that one
/// attempt cannot be told from the next: what was seen of who had it while they waited tells.
void find_reader_starvation(const LockCase& at, std::vector<Finding>& found) {
  const uint64_t returned = fact_of(at.lock, "writers_returned").value_or(0);
  const uint64_t kept_ns = fact_of(at.lock, "readers_kept_ns").value_or(0);
  if (returned < at.thresholds.writer_returns || kept_ns < at.thresholds.attempt_ns) {
    return;
  }
  std::vector<const LockWaiter*> readers;
  for (const LockWaiter& waiter : at.waiters) {
    if (waiter.read_max_ns >= kept_ns) {  // it is in this time that the writers came again
      readers.push_back(&waiter);
    }
  }
  if (readers.empty()) {
    return;
  }
  std::vector<uint32_t> threads;
  threads.reserve(readers.size());
  uint64_t longest_ns = 0;
  for (const LockWaiter* each : readers) {
    threads.push_back(each->thread);
    longest_ns = std::max(longest_ns, each->read_max_ns);
  }
  Finding finding = at.finding("starvation", Severity::warning, threads);
  finding.summary = fmt::format(
      "{} {} up to {} to read at {} while writers have it again and again", at.names(threads),
      threads.size() == 1 ? "waits" : "wait", nanoseconds_text(longest_ns), lock_text(at.lock));
  finding.evidence.push_back(
      {"writers", fmt::format("one that had it before had it again, after another one, {} in {}",
                              count_of(returned, "time"), nanoseconds_text(kept_ns))});
  finding.advice =
      "the lock prefers writers: let them write less often or more at a time, or take the default "
      "kind of rwlock, PTHREAD_RWLOCK_PREFER_READER_NP";
  found.push_back(std::move(finding));
}

/// At a lock whose attempts can be told from each other.
void find_starved(const LockCase& at, std::vector<Finding>& found) {
  constexpr size_t most = 8;
  const std::vector<Starved> starved = starved_at(at);
  if (starved.empty()) {
    return;
  }
  std::vector<uint32_t> threads;
  threads.reserve(starved.size());
  for (const Starved& each : starved) {
    threads.push_back(each.waiter->thread);
  }
  const LockWaiter& worst = *starved.front().waiter;
  Finding finding = at.finding("starvation", Severity::warning, threads);
  finding.summary =
      fmt::format("{} {} at {}: overtaken at least {} in one attempt of {}", at.names(threads),
                  starved.size() == 1 ? "starves" : "starve", lock_text(at.lock),
                  count_of(worst.overtakes_max, "time"), nanoseconds_text(worst.attempt_max_ns));
  if (const uint64_t median_ns = starved.front().median_ns; median_ns != 0) {
    finding.evidence.push_back(
        {"median",
         fmt::format("the others' attempts take {}, {:.0f} times less", nanoseconds_text(median_ns),
                     static_cast<double>(worst.attempt_max_ns) / static_cast<double>(median_ns))});
  } else {
    finding.evidence.push_back({"median", "the others hardly wait"});
  }
  for (size_t i = 1; i < std::min(starved.size(), most); i++) {
    finding.evidence.push_back({"overtaken", overtaken_text(at, *starved[i].waiter)});
  }
  if (at.lock.woken_again != 0) {
    finding.evidence.push_back(
        {"woken", fmt::format("{} to find it taken again", count_of(at.lock.woken_again, "time"))});
  }
  if (const std::string holders = at.holders_text(); !holders.empty()) {
    finding.evidence.push_back({"holder", holders});
  }
  finding.advice =
      "who lets go must not take it again at once: do more between two turns, hand the lock over "
      "in "
      "order (a ticket, a queue), or hold it for longer and less often";
  found.push_back(std::move(finding));
}

/// What the writers of an rwlock wait for each other, as if that were all.
LockUse among_writers(const LockUse& lock) {
  LockUse writers = lock;
  writers.pairs.clear();
  for (const LockPair& pair : lock.pairs) {
    if (pair.to_write.waits != 0) {
      LockPair& wait = writers.pairs.emplace_back(pair);
      wait.waits = pair.to_write.waits;
      wait.wait_ns = pair.to_write.wait_ns;
      wait.attempts = pair.to_write.attempts;
      wait.attempt_max_ns = pair.to_write.attempt_max_ns;
      wait.overtakes_max = pair.to_write.overtakes_max;
    }
  }
  return writers;
}

}  // namespace

void find_starvation(const LockCase& at, std::vector<Finding>& found) {
  if (at.lock.primitive == "rwlock") {
    find_reader_starvation(at, found);  // writers that wait for readers have a rule of their own
    const LockUse writers = among_writers(at.lock);
    find_starved({at.window, writers, at.thresholds, waiters_of(writers), holders_of(writers)},
                 found);
  } else if (is_in_the_way(at.lock)) {
    find_starved(at, found);
  }
}

void find_writer_starvation(const LockCase& at, std::vector<Finding>& found) {
  const uint64_t changed = fact_of(at.lock, "readers_changed").value_or(0);
  if (at.lock.primitive != "rwlock" || changed < at.thresholds.reader_changes) {
    return;
  }
  const auto writer = std::max_element(
      at.waiters.begin(), at.waiters.end(),
      [](const LockWaiter& a, const LockWaiter& b) { return a.attempt_max_ns < b.attempt_max_ns; });
  if (writer == at.waiters.end() || writer->attempt_max_ns < at.thresholds.attempt_ns) {
    return;
  }
  const uint64_t seen = std::max(fact_of(at.lock, "readers_seen").value_or(0), changed);
  Finding finding = at.finding("writer-starvation", Severity::warning, {writer->thread});
  finding.summary = fmt::format("{} waits up to {} to write at {} while readers come and go",
                                at.name(writer->thread), nanoseconds_text(writer->attempt_max_ns),
                                lock_text(at.lock));
  finding.evidence.push_back(
      {"readers", fmt::format("had it at {} while it waited, others than before at {} of them",
                              count_of(seen, "look"), changed)});
  if (writer->overtakes_max != 0) {
    finding.evidence.push_back({"overtaken", count_of(writer->overtakes_max, "time")});
  }
  finding.advice =
      "prefer writers: pthread_rwlockattr_setkind_np() with "
      "PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP";
  found.push_back(std::move(finding));
}

void find_message_starvation(const LockCase& at, std::vector<Finding>& found) {
  const LockUse& lock = at.lock;
  const uint64_t stayed = fact_of(lock, "head_stayed").value_or(0);
  const uint64_t received = fact_of(lock, "received").value_or(0);
  if ((lock.kind != Kind::mq && lock.kind != Kind::msg) || stayed < at.thresholds.head_looks ||
      received < at.thresholds.messages_past) {
    return;
  }
  const bool posix = lock.kind == Kind::mq;
  Finding finding = at.finding("message-starvation", Severity::warning, {});
  for (const LockWaiter& each : at.waiters) {
    const LockThread& thread = at.window.threads[each.thread];
    if (thread.pid != 0 &&
        std::find(finding.pids.begin(), finding.pids.end(), thread.pid) == finding.pids.end()) {
      finding.pids.push_back(thread.pid);
    }
  }
  finding.summary =
      fmt::format("the oldest message in {} stays while at least {} taken past it", lock.id,
                  count_of(received, "message") + (received == 1 ? " is" : " are"));
  finding.evidence.push_back(
      {"oldest", fmt::format("the same one at {} in a row", count_of(stayed, "look"))});
  finding.evidence.push_back({"received", count_of(received, "message")});
  finding.advice = posix
                       ? "messages of a higher priority always go first: send fewer of them, or "
                         "give the others a queue of their own"
                       : "nobody asks for its type, or others are always there first: receive with "
                         "type 0, or by a negative type, or in a thread for each type";
  found.push_back(std::move(finding));
}

}  // namespace ipcscope
