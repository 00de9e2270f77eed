// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <sys/types.h>

#include <bitset>
#include <optional>
#include <string>
#include <vector>

#include "collectors/base/proc_root.h"
#include "collectors/model/snapshot.h"

namespace ipcscope {

/// Which channels a list is about. What is left empty does not restrict it.
struct ChannelFilter {
  std::bitset<kind_count> kinds;
  std::string name;      ///< fnmatch(3) pattern for the name or the id
  bool blocked = false;  ///< only where a thread waits
  // One process at the channel, as an end or as a waiter, has to satisfy all of these.
  std::vector<pid_t> pids;
  std::optional<uid_t> user;  ///< also the owner of a channel that no process has
  std::string cgroup;         ///< pattern for the whole path, or a part of it

  /// The channels that pass, in the snapshot's order.
  [[nodiscard]] std::vector<ChannelIndex> select(const Snapshot& snapshot,
                                                 const ProcRoot& proc) const;

 private:
  [[nodiscard]] bool restricts_processes() const {
    return !pids.empty() || user || !cgroup.empty();
  }
  [[nodiscard]] bool passes(const Process& process, const ProcRoot& proc) const;
  [[nodiscard]] bool passes(const Snapshot& snapshot, const Channel& channel,
                            const std::vector<bool>& processes) const;
};

}  // namespace ipcscope
