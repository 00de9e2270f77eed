// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/leftovers.h"

#include <unistd.h>

#include <algorithm>
#include <thread>

#include "collectors/leftovers/instances.h"
#include "collectors/leftovers/leases.h"
#include "collectors/leftovers/path_facts.h"
#include "collectors/leftovers/pid_facts.h"
#include "collectors/leftovers/sysv_waiters.h"
#include "collectors/leftovers/unseen.h"
#include "collectors/name_spaces.h"

namespace ipcscope {

Leftovers find_leftovers(const Snapshot& snapshot, const ProcRoot& proc, SourceChoice source,
                         std::vector<Coverage>& coverage) {
  Leftovers leftovers;
  const std::vector<int> unseen = find_unseen(snapshot, proc, leftovers);
  // First of all, because it may fork, which is best done before there are threads.
  ask_leases(snapshot, proc, leftovers, coverage);

  const bool has_waiters =
      is_live(proc) && source != SourceChoice::proc &&
      std::any_of(snapshot.channels.begin(), snapshot.channels.end(), [](const Channel& channel) {
        return channel.kind == Kind::sem || channel.kind == Kind::msg;
      });
  SysvWaiters waiters;
  std::thread beside;
  if (has_waiters) {
    beside = std::thread([&] { waiters.collect(); });
  }
  if (is_live(proc)) {
    find_paths(snapshot, proc, unseen, leftovers, coverage);
    find_instances(snapshot, proc, "", leftovers);
    find_pids(snapshot, proc, leftovers);
  }
  if (beside.joinable()) {
    beside.join();
    waiters.join(snapshot, proc.namespace_id(::getpid(), "ipc").value_or(0), leftovers, coverage);
  }
  return leftovers;
}

}  // namespace ipcscope
