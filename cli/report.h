// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "collectors/model/snapshot.h"
#include "collectors/protocol.h"

namespace ipcscope {

/// What `ls` found: some channels of a snapshot.
struct ListReport {
  std::string_view command = "ls";
  const Snapshot& snapshot;
  std::vector<ChannelIndex> channels;
  std::optional<Protocols> protocols = {};  ///< nothing: not asked for
};

/// False when something could not be seen.
inline bool is_complete(const std::vector<Coverage>& coverage) {
  for (const Coverage& each : coverage) {
    if (each.state != Coverage::State::full) {
      return false;
    }
  }
  return true;
}

}  // namespace ipcscope
