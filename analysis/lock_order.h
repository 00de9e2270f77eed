// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "analysis/finding.h"
#include "collectors/model/lock_window.h"

namespace ipcscope {

/// Cycles of a directed graph, as indices into its edges in the order of the way around: for each
/// edge that is on any cycle a shortest one through it, each cycle once, the shortest first, and at
/// most so many. Linear in edges for each cycle that is looked for.
std::vector<std::vector<size_t>> find_cycles(
    const std::vector<std::pair<uint32_t, uint32_t>>& edges, size_t most);

/// Whether threads that go through these orders at the same time can come to wait for each other:
/// not when one thread did all of it, when a further lock was held each time, or when one of the
/// locks is only taken for reading.
bool can_deadlock(const LockWindow& window, const std::vector<size_t>& cycle);

/// lock-order: locks that were taken in an order that can become a deadlock, though none was seen.
void find_lock_orders(const LockWindow& window, std::vector<Finding>& found);

}  // namespace ipcscope
