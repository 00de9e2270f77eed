// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <functional>
#include <string_view>
#include <utility>

#include "collectors/base/identity_map.h"
#include "collectors/model/snapshot.h"

namespace ipcscope {

/// A snapshot, when it was taken, and where its channels are. Nothing of it ever changes, so that
/// several threads may look at it.
class Sight {
 public:
  using Clock = std::chrono::steady_clock;

  const Snapshot snapshot;
  const Clock::time_point taken;

  Sight(Snapshot&& of, Clock::time_point at) : snapshot(std::move(of)), taken(at) {
    for (ChannelIndex i = 0; i < snapshot.channels.size(); i++) {
      bool is_new = false;
      by_id_.slot(hash(snapshot.channels[i].id), is_new) = i;
    }
  }
  Sight(const Sight&) = delete;
  Sight& operator=(const Sight&) = delete;

  /// no_index when the snapshot does not have it.
  [[nodiscard]] ChannelIndex find(std::string_view id) const {
    const ChannelIndex index = by_id_.find(hash(id));
    return index != no_index && snapshot.channels[index].id == id ? index : no_index;
  }

 private:
  /// Never 0.
  static uint64_t hash(std::string_view id) { return std::hash<std::string_view>()(id) | 1; }

  IdentityMap by_id_;  ///< from a hash of it
};

}  // namespace ipcscope
