// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "collectors/model/snapshot.h"

namespace ipcscope {

/// What a channel calls for, the most urgent last.
enum class ChannelState : uint8_t {
  quiet,
  busy,     ///< something was moved
  near,     ///< nearly full
  full,     ///< and nobody waits for room, as far as could be seen
  blocked,  ///< a thread waits for its holder, or to connect
  jammed,   ///< a thread waits for room
};
std::string_view channel_state_name(ChannelState state);

/// Operations and bytes a second, each way.
struct Rates {
  double reads = 0, writes = 0, read_bytes = 0, written_bytes = 0;
  [[nodiscard]] double operations() const { return reads + writes; }
};
/// Counts of a window as numbers a second.
Rates rates_of(uint64_t reads, uint64_t writes, uint64_t read_bytes, uint64_t written_bytes,
               uint64_t window_ns);

/// A channel as top shows it.
struct ChannelRow {
  ChannelIndex channel = no_index;  ///< into the snapshot that it was seen in
  uint32_t activity = no_index;     ///< into Activity::channels; no_index: nothing was done
  ChannelState state = ChannelState::quiet;
  bool exact = false;               ///< longest_ms is not only a lower bound
  uint32_t waiters = 0;             ///< threads, those that are idle too
  std::optional<unsigned> percent;  ///< full
  std::optional<uint64_t> longest_ms;
  std::optional<Rates> rates;  ///< nothing: not measured
};

}  // namespace ipcscope
