// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/top/finding_log.h"

#include <algorithm>

namespace ipcscope {

void FindingLog::take(std::string_view source, std::vector<LiveFinding> found, int64_t now_ns,
                      int64_t linger_ns) {
  for (LiveFinding& each : found) {
    const auto known = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
      return entry.live.source == source && entry.live.identity == each.identity;
    });
    each.source = source;
    each.first_seen_ns = known != entries_.end() ? known->live.first_seen_ns : now_ns;
    if (known != entries_.end()) {
      *known = {std::move(each), now_ns};
    } else {
      entries_.push_back({std::move(each), now_ns});
    }
  }
  entries_.erase(std::remove_if(entries_.begin(), entries_.end(),
                                [&](const Entry& entry) {
                                  return entry.live.source == source &&
                                         entry.last_seen_ns != now_ns &&
                                         now_ns - entry.last_seen_ns >= linger_ns;
                                }),
                 entries_.end());
}

std::vector<LiveFinding> FindingLog::all() const {
  std::vector<LiveFinding> list;
  list.reserve(entries_.size());
  for (const Entry& each : entries_) {
    list.push_back(each.live);
  }
  std::stable_sort(list.begin(), list.end(), [](const LiveFinding& a, const LiveFinding& b) {
    return a.finding.severity > b.finding.severity;
  });
  return list;
}

}  // namespace ipcscope
