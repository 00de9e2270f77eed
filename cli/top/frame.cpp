// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/top/frame.h"

#include <algorithm>
#include <array>
#include <utility>

#include "analysis/wait_words.h"

namespace ipcscope {

ChannelPlace TopFrame::find(std::string_view id) const {
  for (const std::shared_ptr<const LookRows>& look : looks) {
    if (const ChannelIndex index = look->sight->find(id); index != no_index) {
      return {&look->sight->snapshot, index};
    }
  }
  return {&snapshot(), whole->sight->find(id)};
}

const Process* TopFrame::find_process(int32_t pid, const Snapshot** in) const {
  for (const std::shared_ptr<const LookRows>& look : looks) {
    if (const Process* process = look->sight->snapshot.process(pid)) {
      *in = &look->sight->snapshot;
      return process;
    }
  }
  *in = &snapshot();
  return snapshot().process(pid);
}

uint64_t TopFrame::lost() const {
  uint64_t sum = activity != nullptr ? activity->lost : 0;
  if (locks != nullptr) {
    sum += locks->window.lost_locks + locks->window.lost_pairs;
  }
  for (const Coverage& each : coverage) {
    sum += each.lost;
  }
  return sum;
}

size_t TopFrame::count(Severity severity) const {
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
