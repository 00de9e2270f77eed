// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "collectors/model/lock_window.h"

namespace ipcscope {

constexpr uint64_t us = 1'000, ms = 1'000'000, second = 1'000'000'000;

/// A window of 5 seconds, written by hand.
class PaperWindow {
 public:
  PaperWindow() {
    window.host = "paper";
    window.kernel = "6.1";
    window.window_ns = 5 * second;
    window.coverage.push_back({.source = "bpf-locks", .checked = 1000, .reason = {}, .hint = {}});
  }

  uint32_t thread(int32_t pid, int32_t tid, std::string comm) {
    window.threads.push_back({pid, tid, std::move(comm)});
    return static_cast<uint32_t>(window.threads.size() - 1);
  }

  /// Valid until the next.
  LockUse& lock(std::string id, Kind kind, std::string primitive, WaitPurpose purpose) {
    LockUse& lock = window.locks.emplace_back();
    lock.id = std::move(id);
    lock.kind = kind;
    lock.primitive = std::move(primitive);
    lock.purpose = purpose;
    lock.operation = kind == Kind::futex ? "futex_wait" : "write";
    return lock;
  }
  LockUse& mutex() {
    LockUse& made = lock("futex:10:0x7f0000001040", Kind::futex, "mutex", WaitPurpose::lock);
    made.source = HolderSource::owner_word;
    return made;
  }

  struct Waits {
    uint64_t count = 1;
    uint64_t each_ns = ms;
    uint64_t unfinished = 0;  ///< of these
    uint64_t overtakes = 0;
    uint64_t attempt_ns = 0;  ///< the longest; 0: as one wait
    uint64_t attempts = 0;    ///< 0: as many as waits
  };
  /// Adds a pair, and what the lock sums up of it.
  static LockPair& wait(LockUse& lock, uint32_t waiter, uint32_t holder, const Waits& waits) {
    LockPair& pair = lock.pairs.emplace_back();
    pair.waiter = waiter;
    pair.holder = holder;
    pair.source = holder == no_index ? HolderSource::unknown : lock.source;
    pair.waits = waits.count;
    pair.unfinished = waits.unfinished;
    pair.wait_ns = waits.count * waits.each_ns;
    pair.max_ns = waits.each_ns;
    pair.overtakes = pair.overtakes_max = waits.overtakes;
    pair.attempt_max_ns = waits.attempt_ns != 0 ? waits.attempt_ns : waits.each_ns;
    pair.attempts = waits.attempts != 0 ? waits.attempts : waits.count;
    lock.waits += waits.count;
    lock.unfinished += waits.unfinished;
    lock.total_ns += pair.wait_ns;
    lock.max_ns = std::max(lock.max_ns, waits.each_ns);
    lock.ends[static_cast<size_t>(WaitEnd::woken)] += waits.count - waits.unfinished;
    lock.histogram.add(DurationHistogram::bucket_of_duration(waits.each_ns), waits.count);
    return pair;
  }

  LockWindow window;
};

}  // namespace ipcscope
