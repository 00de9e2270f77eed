// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <unordered_map>
#include <unordered_set>

#include "collectors/base/proc_root.h"
#include "collectors/leftovers/bound_sockets.h"
#include "collectors/leftovers/path_walk.h"
#include "collectors/model/leftovers.h"
#include "collectors/proc/locks.h"

namespace ipcscope {

/// Socket paths, FIFOs and lock files of every mount namespace of the snapshot, and whether they
/// are used. unseen: processes that the snapshot lacks. leftovers.unseen and
/// processes_outside must be known. Touches of leftovers only paths, so it may run beside what
/// fills the rest. Coverage: "paths", "bound-sockets".
void find_paths(const Snapshot& snapshot, const ProcRoot& proc, const std::vector<int>& unseen,
                Leftovers& leftovers, std::vector<Coverage>& coverage);

/// The FIFOs that processes of the snapshot have open or wait to open, and the files on which they
/// hold locks.
class UsedFiles {
 public:
  explicit UsedFiles(const Snapshot& snapshot);
  /// A FIFO's channel has no device: an equal inode number is reason enough to leave it alone, and
  /// an equal path where somebody only waits to open it.
  [[nodiscard]] bool has_fifo(const PathFact& fact) const;
  [[nodiscard]] bool has_lock(const PathFact& fact, bool any_device) const;

 private:
  std::unordered_multimap<uint64_t, std::string> fifos_, locked_;  ///< devices by inode number
  std::unordered_set<std::string> awaited_;                        ///< paths of FIFOs
};

/// Whether one of them is used. locks: null when /proc/locks was not read.
std::optional<bool> is_path_used(const FoundPath& found, const UsedFiles& files,
                                 const Leftovers& leftovers, const BoundSockets& sockets,
                                 const LockTable* locks);

/// The number in ipcscope's PID namespace of the process that a lock file of a mount namespace
/// calls pid: programs in a container have their own numbers. 0 when there is none.
int32_t outer_pid(const Snapshot& snapshot, uint32_t mnt_ns, uint32_t own_pid_ns, int32_t pid);

}  // namespace ipcscope
