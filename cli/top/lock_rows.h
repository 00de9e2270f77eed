// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/top/frame.h"
#include "cli/top/rows.h"

namespace ipcscope {

/// A lock or full queue of the window, or without one, a lock of the snapshot where a thread waits.
struct LockRow {
  uint32_t lock = no_index;          ///< into the window's locks
  ChannelPlace place;                ///< the channel; nowhere: not in any snapshot
  const Finding* finding = nullptr;  ///< of this lock, the gravest; null: none
  bool idle = false;                 ///< waits for data, events and work
  bool exact = false;                ///< longest_ns is not only a lower bound
  uint64_t waiting = 0;              ///< threads that wait now
  std::optional<double> waits;       ///< a second; nothing: not measured, as what follows
  /// Hundredths of the time of the threads that waited there which they lost.
  std::optional<double> share;
  std::optional<uint64_t> mean_ns;
  std::optional<uint64_t> longest_ns;  ///< that ended or goes on
  std::optional<uint64_t> overtakes;   ///< of one attempt
};

std::vector<LockRow> lock_rows(const TopFrame& frame);

std::span<const RowColumn> lock_columns();
std::unique_ptr<Rows> make_lock_rows(const TopFrame& frame, EscapeStyle style);

}  // namespace ipcscope
