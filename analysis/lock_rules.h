// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <vector>

#include "analysis/finding.h"
#include "collectors/model/lock_window.h"

namespace ipcscope {

/// From where on the rules speak. ipcscope-locks(1) states the defaults of those that have an
/// option, ipcscope-findings(7) all of them.
struct LockThresholds {
  /// Hundredths of the time of the threads that waited at a lock which they lost there; or ten
  /// times as many hundredths of the time of one.
  double contention_percent = 10;
  uint64_t handovers = 3;  ///< fewer wake-ups at a lock are no contention
  /// A thread starves when it was overtaken so often in one attempt, ...
  uint64_t overtakes = 10;
  /// ... which took so many times the median attempt of the others, ...
  double times_median = 10;
  /// ... and so many times the median of their worst ones: of many attempts one is always long, ...
  double times_worst = 3;
  /// ... and was long enough to be noticed. ...
  uint64_t attempt_ns = 50'000'000;
  /// ... That may happen to anybody once: it took so many hundredths of the window, or the thread's
  /// mean attempt is times_worst times the median of the others', too.
  double attempt_percent = 20;
  /// One holder makes a convoy when it caused so many hundredths of all the waiting, and of that of
  /// each of so many threads, and held the lock for so long at once; their mean wait for it is at
  /// least a quarter of that.
  double convoy_percent = 50;
  uint64_t convoy_waiters = 3;
  uint64_t convoy_hold_ns = 10'000'000;
  /// Looks at which the readers of an rwlock had changed while a writer waited.
  uint64_t reader_changes = 4;
  /// Writers that had an rwlock again, after another one, while a reader waited.
  uint64_t writer_returns = 4;
  /// Looks in a row at which the oldest message of a queue was the same, and messages that were
  /// taken past it meanwhile: at most one is seen at each look.
  uint64_t head_looks = 5;
  uint64_t messages_past = 5;
  /// Shorter waits for an event are not suspected to be lost ...
  uint64_t lost_ns = 500'000'000;
  double lost_times = 3;  ///< ... nor those below so many times the longest that was ended.
  /// Hundredths of the window in which a writer waited for room while its reader slept elsewhere.
  double asleep_percent = 25;
};

/// What is wrong at the locks of a window, the gravest and then the dearest first: contention,
/// convoy, starvation, writer-starvation, message-starvation, owner-died, lost-wakeup and
/// imbalance, as ipcscope-findings(7) describes them.
std::vector<Finding> judge_locks(const LockWindow& window, const LockThresholds& thresholds = {});

}  // namespace ipcscope
