// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "analysis/finding.h"
#include "analysis/lock_rules.h"
#include "collectors/model/lock_window.h"

namespace ipcscope {

/// What a row is about.
enum class LockView : uint8_t { lock, thread, pair };
enum class LockSort : uint8_t { total, max, waits, p99 };

/// How `locks` is to answer.
struct LockForm {
  LockView view = LockView::lock;
  LockSort sort = LockSort::total;
  size_t top = 0;                ///< rows; 0: not said
  std::vector<std::string> ids;  ///< only these locks; none: all
  bool detail = false;           ///< each lock in full
  bool stacks = false;
  bool headings = true;
};

/// One thread at all locks that are in the report.
struct LockThreadUse {
  uint32_t thread = no_index;
  uint64_t waits = 0;  ///< for locks and room, as all but idle_ns
  uint64_t unfinished = 0;
  uint64_t wait_ns = 0;
  uint64_t max_ns = 0;
  uint64_t overtakes_max = 0;
  uint64_t attempt_max_ns = 0;
  uint64_t idle_ns = 0;        ///< waited for data, events and work
  uint64_t held_up_ns = 0;     ///< what others waited behind it
  uint32_t lock = no_index;    ///< where it waited longest, into LockWindow::locks
  uint64_t lock_ns = 0;        ///< how long
  uint32_t behind = no_index;  ///< behind whom it waited longest, into LockWindow::threads
  uint64_t behind_ns = 0;
};

/// Who waited behind whom at one lock.
struct LockPairUse {
  uint32_t lock = no_index;  ///< into LockWindow::locks
  const LockPair* pair = nullptr;
};

/// What `locks` found.
struct LockReport {
  LockWindow window;
  LockForm form;
  std::vector<Finding> findings;
  // Into window.locks, in the order that the form asks for.
  std::vector<uint32_t> in_the_way;  ///< for locks and room
  std::vector<uint32_t> idle;        ///< for data, events and work
  std::vector<uint32_t> taken;  ///< whose takings were seen, waited for or not: longest held first
  std::vector<uint32_t> not_waited;  ///< those at which nobody waited

  [[nodiscard]] const LockUse& lock(uint32_t index) const { return window.locks[index]; }
  /// Those that waited for locks and room, or were waited behind, as the form orders them.
  /// also_idle: and all others that are at a lock.
  [[nodiscard]] std::vector<LockThreadUse> threads(bool also_idle) const;
  /// Those of in_the_way, as the form orders them. Valid as long as the report.
  [[nodiscard]] std::vector<LockPairUse> pairs() const;
};

LockReport make_lock_report(LockWindow window, const LockForm& form,
                            const LockThresholds& thresholds);

}  // namespace ipcscope
