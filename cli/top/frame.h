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
#include "cli/top/channel_row.h"
#include "cli/top/rows.h"
#include "collectors/host_load.h"
#include "collectors/model/activity.h"
#include "collectors/model/sight.h"
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

/// A channel in one of the snapshots.
struct ChannelPlace {
  const Snapshot* snapshot = nullptr;
  ChannelIndex channel = no_index;
  [[nodiscard]] explicit operator bool() const { return channel != no_index; }
  [[nodiscard]] const Channel& operator*() const { return snapshot->channels[channel]; }
};

/// What follows from a snapshot of the whole host alone, so that it is told once.
struct WholeRows {
  std::shared_ptr<const Sight> sight;
  uint64_t revision = 0;         ///< never 0, and of each another
  std::vector<ChannelRow> rows;  ///< by channel of the snapshot
  Blocked blocked;
};
/// What a look at some processes showed that differs from the whole before it.
struct LookRows {
  std::shared_ptr<const Sight> sight;
  std::vector<ChannelRow> rows;
};

/// What `top` knows at one moment: its report. The screen, plain frames and JSON all render it, so
/// that they show the same numbers.
struct TopFrame {
  int64_t time_ns = 0;                     ///< CLOCK_REALTIME
  int64_t boot_ns = 0;                     ///< CLOCK_BOOTTIME
  std::shared_ptr<const WholeRows> whole;  ///< never null
  /// Since then, the youngest first.
  std::vector<std::shared_ptr<const LookRows>> looks;
  uint64_t snapshot_age_ns = 0;  ///< of the whole
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

  /// The whole host.
  [[nodiscard]] const Snapshot& snapshot() const { return whole->sight->snapshot; }
  /// In the youngest snapshot that has it. In a look, ends and waits are only those of the
  /// processes that were looked at.
  [[nodiscard]] ChannelPlace find(std::string_view id) const;
  /// A process in the youngest snapshot that has it; null when none has.
  [[nodiscard]] const Process* find_process(int32_t pid, const Snapshot** in) const;

  /// Operations and records that the probes could not keep.
  [[nodiscard]] uint64_t lost() const;
  [[nodiscard]] size_t count(Severity severity) const;
};

}  // namespace ipcscope
