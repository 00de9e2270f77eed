// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "bpf/activity.h"
#include "collectors/model/activity.h"
#include "collectors/trace/decoder.h"

namespace ipcscope {

/// What one process did at one channel, as the kernel hands it over.
struct ActivityPair {
  activity_key key{};
  activity_value value{};
};

/// Adds up what the kernel counted, by channel and by process. Names are looked up when a channel
/// is new, or is connected with another one than before.
class ActivitySums {
 public:
  explicit ActivitySums(TraceNames& names) : names_(names) {}

  /// One window's pairs, each of which comes once. Fills in the channels and processes of activity.
  void add(std::span<const ActivityPair> pairs, Activity& activity);
  /// Channels whose names are remembered.
  [[nodiscard]] size_t names() const { return known_.size(); }

 private:
  struct Name {
    trace_channel_record record{};  ///< that it was made of
    std::string id;
    Kind kind = Kind::pipe;
    int tries = 0;        ///< how often it may still be looked for
    uint64_t window = 0;  ///< the last that used it
  };
  void add_processes(std::span<const ActivityPair> pairs, Activity& activity) const;
  void add_channels(std::span<const ActivityPair> pairs, Activity& activity);
  const Name& name_of(std::span<const ActivityPair* const> end);
  /// Those that no window from this one on has used.
  void forget_names(uint64_t before);

  TraceNames& names_;
  std::unordered_map<uint64_t, Name> known_;  ///< by key
  uint64_t window_ = 0;
};

}  // namespace ipcscope
