// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <sys/types.h>

#include <algorithm>
#include <bitset>
#include <vector>

#include "collectors/model/snapshot.h"

namespace ipcscope {

enum class SourceChoice : uint8_t { automatic, bpf, proc };

/// What a command needs to know, so that nothing else is collected.
struct Request {
  SourceChoice source = SourceChoice::automatic;
  std::vector<pid_t> pids;  ///< only channels with an endpoint here, peers included; empty: all
  bool alone = false;  ///< with pids: without the other ends of their channels, where BPF can do so
  std::bitset<kind_count> kinds;  ///< none set: all
  bool relations = false;         ///< Snapshot::watched and Snapshot::reach
  [[nodiscard]] bool is_about(uint32_t pid) const {
    return std::find(pids.begin(), pids.end(), static_cast<pid_t>(pid)) != pids.end();
  }
  [[nodiscard]] bool wants(Kind kind) const {
    return kinds.none() || kinds.test(static_cast<size_t>(kind));
  }
};

}  // namespace ipcscope
