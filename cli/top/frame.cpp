// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/top/frame.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <utility>

#include "analysis/wait_words.h"

namespace ipcscope {

ChannelIds::ChannelIds(std::shared_ptr<const Snapshot> snapshot)
    : snapshot_(std::move(snapshot)), order_(snapshot_->channels.size()) {
  std::iota(order_.begin(), order_.end(), ChannelIndex{0});
  std::sort(order_.begin(), order_.end(), [&](ChannelIndex a, ChannelIndex b) {
    return snapshot_->channels[a].id < snapshot_->channels[b].id;
  });
}

ChannelIndex ChannelIds::find(std::string_view id) const {
  const auto found = std::lower_bound(
      order_.begin(), order_.end(), id,
      [&](ChannelIndex a, std::string_view b) { return snapshot_->channels[a].id < b; });
  return found != order_.end() && snapshot_->channels[*found].id == id ? *found : no_index;
}

uint64_t Frame::lost() const {
  uint64_t sum = activity != nullptr ? activity->lost : 0;
  if (locks != nullptr) {
    sum += locks->window.lost_locks + locks->window.lost_pairs;
  }
  for (const Coverage& each : coverage) {
    sum += each.lost;
  }
  return sum;
}

size_t Frame::count(Severity severity) const {
  return static_cast<size_t>(
      std::count_if(findings.begin(), findings.end(),
                    [&](const LiveFinding& each) { return each.finding.severity == severity; }));
}

Blocked count_blocked(const Snapshot& snapshot) {
  Blocked blocked;
  std::array<uint64_t, kind_count> counts{};
  for (const Thread& thread : snapshot.threads) {
    bool at_channel = false;
    bool in_the_way = false;
    for (const Wait& wait : snapshot.waits_of(thread)) {
      if (wait.channel == no_index) {
        continue;
      }
      if (!at_channel) {
        counts[static_cast<size_t>(snapshot.channels[wait.channel].kind)]++;
      }
      at_channel = true;
      in_the_way = in_the_way || wants_progress(snapshot, wait);
    }
    blocked.threads += at_channel ? 1 : 0;
    blocked.in_the_way += in_the_way ? 1 : 0;
  }
  for (size_t kind = 0; kind < kind_count; kind++) {
    if (counts[kind] != 0) {
      blocked.by_kind.push_back({static_cast<Kind>(kind), counts[kind]});
    }
  }
  std::stable_sort(
      blocked.by_kind.begin(), blocked.by_kind.end(),
      [](const BlockedKind& a, const BlockedKind& b) { return a.threads > b.threads; });
  return blocked;
}

}  // namespace ipcscope
