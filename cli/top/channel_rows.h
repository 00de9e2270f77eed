// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "cli/top/frame.h"
#include "cli/top/rows.h"
#include "collectors/model/duration.h"

namespace ipcscope {

/// What a channel calls for, the most urgent last.
enum class ChannelState : uint8_t {
  quiet,
  busy,     ///< something was moved
  near,     ///< nearly full
  full,     ///< and nobody waits for room, as far as could be seen
  blocked,  ///< a thread waits for its holder, or for room
  jammed,   ///< full, and a thread waits for room
};
std::string_view channel_state_name(ChannelState state);

/// Operations and bytes a second, each way.
struct Rates {
  double reads = 0, writes = 0, read_bytes = 0, written_bytes = 0;
  [[nodiscard]] double operations() const { return reads + writes; }
  [[nodiscard]] double bytes() const { return read_bytes + written_bytes; }
};

/// A channel of the snapshot, or one that is younger and was only seen at work.
struct ChannelRow {
  ChannelIndex channel = no_index;  ///< into the snapshot
  uint32_t activity = no_index;     ///< into Activity::channels; no_index: nothing was done
  ChannelState state = ChannelState::quiet;
  bool exact = false;               ///< longest_ms is not only a lower bound
  uint32_t waiters = 0;             ///< threads, those that are idle too
  std::optional<Rates> rates;       ///< nothing: not measured
  std::optional<unsigned> percent;  ///< full
  std::optional<uint64_t> longest_ms;
};

/// Rows for every channel of the frame, in the snapshot's order.
std::vector<ChannelRow> channel_rows(const Frame& frame);
/// Whether what is done at such a channel is counted. Memory is used without any call.
bool has_rates(Kind kind);
/// Counts of a window as numbers a second.
Rates rates_of(uint64_t reads, uint64_t writes, uint64_t read_bytes, uint64_t written_bytes,
               uint64_t window_ns);

std::span<const RowColumn> channel_columns();
std::unique_ptr<Rows> make_channel_rows(const Frame& frame, EscapeStyle style);

}  // namespace ipcscope
