// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <vector>

#include "bpf/trace.h"
#include "collectors/trace/ring.h"

namespace ipcscope {

/// The records of several ring buffers as one stream, in the order in which the operations ended.
/// What else is in a ring stays before the event that it stands before.
class TraceRings {
 public:
  void add(RingReader&& ring) { rings_.emplace_back(std::move(ring)); }

  /// Calls take(record) for what is there now; returns how many records that were. What ended just
  /// now stays: an event that ended before it may still be on its way into another ring. all: take
  /// this, too; nobody writes any more.
  template <typename Take>
  size_t drain(const Take& take, bool all = false) {
    uint64_t until = all ? UINT64_MAX : latest();
    open_.clear();
    for (Source& source : rings_) {
      source.ring.look();
      if (find_event(source, until)) {
        open_.push_back(&source);
      }
    }
    size_t count = 0;
    while (!open_.empty()) {
      const auto before = [](const Source* a, const Source* b) { return a->time < b->time; };
      const auto first = std::min_element(open_.begin(), open_.end(), before);
      std::iter_swap(first, open_.begin());
      const uint64_t next = open_.size() == 1
                                ? UINT64_MAX
                                : (*std::min_element(open_.begin() + 1, open_.end(), before))->time;
      Source& source = *open_.front();
      if (source.time > until) {
        break;
      }
      bool has_more = true;
      while (has_more && source.time <= std::min(next, until)) {
        count += take_event(source, take);
        has_more = find_event(source, until);
      }
      if (!has_more) {
        open_.erase(open_.begin());
      }
    }
    if (all) {
      for (Source& source : rings_) {
        source.behind = UINT64_MAX;
        count += take_event(source, take);
      }
    }
    for (Source& source : rings_) {
      source.ring.release();
    }
    return count;
  }

 private:
  struct Source {
    explicit Source(RingReader&& reader) : ring(std::move(reader)) {}
    RingReader ring;
    uint64_t time = 0;    ///< when the next event in it ended
    uint64_t behind = 0;  ///< where that event's record ends
  };
  /// Events that ended before this have arrived by now. CLOCK_MONOTONIC, as in the records.
  static uint64_t latest();

  /// Looks for the next event. Where a record is still being filled, nothing is known of what ended
  /// after the one before it: until is lowered.
  static bool find_event(Source& source, uint64_t& until) {
    uint64_t at = source.ring.position();
    bool busy = false;
    for (auto record = source.ring.record(at, busy); !record.empty();
         record = source.ring.record(at, busy)) {
      at += RingReader::space(record.size());
      uint16_t kind = 0;
      std::memcpy(&kind, record.data(), sizeof kind);
      if (kind == TRACE_EVENT) {
        std::memcpy(&source.time, record.data() + offsetof(trace_event_record, end_ns),
                    sizeof source.time);
        source.behind = at;
        return true;
      }
    }
    if (busy) {
      until = std::min(until, source.time);
    }
    return false;
  }

  template <typename Take>
  static size_t take_event(Source& source, const Take& take) {
    size_t count = 0;
    bool busy = false;
    uint64_t at = source.ring.position();
    while (at < source.behind) {
      const std::span<const std::byte> record = source.ring.record(at, busy);
      if (record.empty()) {
        break;
      }
      take(record);
      count++;
      at += RingReader::space(record.size());
    }
    source.ring.advance(at);
    return count;
  }

  std::vector<Source> rings_;
  std::vector<Source*> open_;  ///< those with an event, while drain() runs
};

}  // namespace ipcscope
