// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/top/channel_rows.h"
#include "cli/top/frame.h"
#include "cli/top/rows.h"

namespace ipcscope {

/// What a process calls for, the most urgent last.
enum class ProcessState : uint8_t {
  quiet,
  busy,     ///< it moved something
  blocked,  ///< a thread waits for a holder, or for room
  stuck,    ///< it is in a finding of `why`
};
std::string_view process_state_name(ProcessState state);

/// A process of the snapshot, or one that is younger and was only seen at work.
struct ProcessRow {
  const Snapshot* snapshot = nullptr;  ///< the youngest that has it; null: none
  ProcessIndex process = no_index;     ///< there
  uint32_t activity = no_index;        ///< into Activity::processes; no_index: it did nothing
  ProcessState state = ProcessState::quiet;
  bool exact = false;           ///< longest_ms is not only a lower bound
  uint32_t blocked = 0;         ///< threads that wait for a holder or for room
  std::optional<Rates> rates;   ///< nothing: not measured
  std::optional<double> share;  ///< of the time of those of its threads that waited, what they lost
  std::optional<uint64_t> longest_ms;  ///< of those threads
  uint64_t wait_ns = 0;                ///< that they waited in the window, all together
  uint32_t lock = no_index;            ///< where they waited most, into the window's locks
  uint32_t behind = no_index;          ///< behind whom, into the window's threads
  uint32_t wait = no_index;            ///< their longest wait, there
};

/// Rows for all processes but the kernel's own threads.
std::vector<ProcessRow> process_rows(const TopFrame& frame);

std::span<const RowColumn> process_columns();
std::unique_ptr<Rows> make_process_rows(const TopFrame& frame, EscapeStyle style);

}  // namespace ipcscope
