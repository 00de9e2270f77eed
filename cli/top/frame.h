// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "analysis/finding.h"
#include "analysis/limits.h"
#include "cli/lock_report.h"
#include "cli/top/rows.h"
#include "collectors/host_load.h"
#include "collectors/model/activity.h"
#include "collectors/model/snapshot.h"

namespace ipcscope {

/// A finding that was there at the last look of its source.
struct LiveFinding {
  Finding finding;
  std::string identity;       ///< stays the same while its numbers change
  std::string_view source;    ///< "why", "leaks", "locks", "limits"
  int64_t first_seen_ns = 0;  ///< CLOCK_BOOTTIME
};

/// What ipcscope itself takes.
struct SelfUse {
  std::optional<double> cpu_percent;  ///< of one CPU, since the frame before
  uint64_t rss_bytes = 0;
};

/// One row in full, as text with the codes of styled().
struct FrameDetail {
  Tab tab = Tab::channels;
  std::string identity;
  std::string title;  ///< raw bytes
  std::string text;
};

/// The channels of a snapshot by id.
class ChannelIds {
 public:
  explicit ChannelIds(std::shared_ptr<const Snapshot> snapshot);
  /// no_index when the snapshot has no such channel.
  [[nodiscard]] ChannelIndex find(std::string_view id) const;

 private:
  std::shared_ptr<const Snapshot> snapshot_;
  std::vector<ChannelIndex> order_;  ///< by id
};

/// What `top` knows at one moment: its report. The screen, plain frames and JSON all render it, so
/// that they show the same numbers.
struct Frame {
  int64_t time_ns = 0;                       ///< CLOCK_REALTIME
  int64_t boot_ns = 0;                       ///< CLOCK_BOOTTIME
  std::shared_ptr<const Snapshot> snapshot;  ///< never null
  std::shared_ptr<const ChannelIds> ids;     ///< of the snapshot; never null
  uint64_t snapshot_age_ns = 0;
  /// What was done since the frame before; null where it was not measured.
  std::shared_ptr<const Activity> activity;
  /// What was waited for since then; likewise.
  std::shared_ptr<const LockReport> locks;
  std::vector<LiveFinding> findings;   ///< the gravest first
  std::optional<int64_t> findings_ns;  ///< CLOCK_BOOTTIME of the last look; nothing: none yet
  std::vector<LimitUse> limits;        ///< the nearest first
  std::optional<int64_t> limits_ns;    ///< likewise
  HostLoad host;
  SelfUse self;
  std::vector<Coverage> coverage;  ///< of all that the frame was made of
  std::optional<FrameDetail> detail;

  /// Operations and records that the probes could not keep.
  [[nodiscard]] uint64_t lost() const;
  [[nodiscard]] size_t count(Severity severity) const;
};

/// Threads that are blocked at channels of some kind.
struct BlockedKind {
  Kind kind = Kind::pipe;
  uint64_t threads = 0;
};
struct Blocked {
  uint64_t threads = 0;              ///< at any channel; each counts once
  uint64_t in_the_way = 0;           ///< of these, for a holder or for room: idle threads are not
  std::vector<BlockedKind> by_kind;  ///< the most first; a thread at several is at the first
};
Blocked count_blocked(const Snapshot& snapshot);

}  // namespace ipcscope
