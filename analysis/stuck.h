// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <vector>

#include "analysis/finding.h"
#include "analysis/wait_graph.h"
#include "collectors/model/snapshot.h"

namespace ipcscope {

/// What the rules look at.
struct StuckQuestion {
  const Snapshot& snapshot;
  const WaitGraph& graph;
  const WaitFacts& facts;
  uint64_t longer_than_ns = 10'000'000'000;  ///< shorter waits count only where they never end
};

/// Waits that do not end, or not by themselves: deadlock, owner-died, missed-eof, full-channel,
/// stuck, no-reader and no-writer, as ipcscope-findings(7) describes them. The gravest first.
std::vector<Finding> find_stuck(const StuckQuestion& question);

/// Threads that wait longer than the question says for somebody who is at work: no finding, but
/// not idle either. A thread that waits for work, data, time, a signal or another host is idle.
std::vector<ThreadIndex> long_waits(const StuckQuestion& question);

/// Whether a thread waits as an idle one does.
bool is_idle(const Snapshot& snapshot, const WaitGraph& graph, ThreadIndex thread);

/// How much was looked at.
struct WaitCounts {
  uint64_t threads = 0;
  uint64_t waiting = 0;     ///< threads that are blocked
  uint64_t unreadable = 0;  ///< of those, who could release them was not seen
  uint64_t ownerless = 0;   ///< of those, what they wait for has no owner by design
};
WaitCounts count_waits(const Snapshot& snapshot, const WaitGraph& graph);

}  // namespace ipcscope
