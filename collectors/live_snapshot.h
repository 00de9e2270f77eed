// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "collectors/base/proc_root.h"
#include "collectors/base/result.h"
#include "collectors/model/sight.h"
#include "collectors/model/snapshot.h"
#include "collectors/request.h"

namespace ipcscope {

/// Shares of one CPU, 0 to 1, that a live snapshot may take. With these, the whole of a host of
/// 100,000 descriptors is taken every 30 to 40 seconds.
struct LiveBudget {
  double whole = 0.005;
  double look = 0.002;
  double only = 0.05;  ///< of the whole, where there can be no looks: without BPF
};

/// Keeps a view of the host that is as young as a share of one CPU allows: the whole of it is taken
/// anew when what that cost the last time has been earned since, and in between there are looks at
/// the processes that matter now. On a small host all of it is new at each refresh.
class LiveSnapshot {
 public:
  using Clock = std::chrono::steady_clock;

  /// A channel, in one of the snapshots.
  struct Sighting {
    const Snapshot* snapshot = nullptr;
    const Channel* channel = nullptr;  ///< null: it is not there
    Clock::time_point taken;
  };

  /// Takes the first snapshot. proc has to live as long. Fails as take_snapshot() does.
  static Result<std::unique_ptr<LiveSnapshot>> start(const Request& request, const ProcRoot& proc,
                                                     const LiveBudget& budget = {});
  ~LiveSnapshot();
  LiveSnapshot(const LiveSnapshot&) = delete;
  LiveSnapshot& operator=(const LiveSnapshot&) = delete;

  /// Does what the budget allows. pids: of the rows that are on screen, and of what is new, the
  /// most important first; those that do not fit wait for the next refresh. When it fails, what
  /// was known stays.
  Result<void> refresh(std::span<const pid_t> pids);
  /// Takes the whole anew whatever it costs: somebody asked for it.
  Result<void> refresh_whole();

  /// All of the host. Pointers and indexes into it are good until revision() changes.
  [[nodiscard]] const Snapshot& whole() const;
  [[nodiscard]] Clock::time_point whole_taken() const;
  /// Counts the snapshots of the whole: rows that were made of one need not be made again.
  [[nodiscard]] uint64_t revision() const;

  /// The same to keep: it stays what it is when there is a younger one.
  [[nodiscard]] std::shared_ptr<const Sight> whole_sight() const;
  /// The looks at some processes since then, the youngest first. Of channels they have the depths
  /// and waits, but of their endpoints and waits only those in these processes.
  [[nodiscard]] std::vector<std::shared_ptr<const Sight>> looks() const;

  /// By its id, in the youngest snapshot that has it: in the whole, or in a look at some processes.
  /// A look has the channels of these processes with depths and waits, but of their endpoints and
  /// waits only those in these processes. Good until the next refresh.
  [[nodiscard]] Sighting find(std::string_view id) const;
  /// Only in the whole.
  [[nodiscard]] Sighting find_in_whole(std::string_view id) const;

 private:
  class State;
  explicit LiveSnapshot(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace ipcscope
