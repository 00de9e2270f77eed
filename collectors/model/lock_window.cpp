// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/model/lock_window.h"

#include <algorithm>
#include <bit>

namespace ipcscope {

std::string_view purpose_name(WaitPurpose purpose) {
  static constexpr std::array<std::string_view, 4> names = {"lock", "room", "data", "event"};
  return names[static_cast<size_t>(purpose)];
}

std::string_view wait_end_name(WaitEnd end) {
  static constexpr std::array<std::string_view, wait_end_count> names = {
      "woken", "timed_out", "interrupted", "owner_died"};
  return names[static_cast<size_t>(end)];
}

std::string_view holder_source_name(HolderSource source) {
  static constexpr std::array<std::string_view, 5> names = {"unknown", "none_by_design",
                                                            "owner_word", "file_lock", "waker"};
  return names[static_cast<size_t>(source)];
}

void DurationHistogram::add(const DurationHistogram& other) {
  for (size_t i = 0; i < buckets; i++) {
    counts_[i] += other.counts_[i];
  }
}

uint64_t DurationHistogram::octave(size_t power) const {
  uint64_t sum = 0;
  for (size_t i = 0; i < per_octave; i++) {
    sum += counts_[power * per_octave + i];
  }
  return sum;
}

uint64_t DurationHistogram::total() const {
  uint64_t sum = 0;
  for (const uint64_t count : counts_) {
    sum += count;
  }
  return sum;
}

uint64_t DurationHistogram::duration_of_bucket(size_t bucket) {
  const size_t power = bucket / per_octave;
  const uint64_t begin = uint64_t{1} << power;
  return begin + begin * (bucket % per_octave) / per_octave;
}

size_t DurationHistogram::bucket_of_duration(uint64_t ns) {
  if (ns == 0) {
    return 0;
  }
  const auto power = static_cast<size_t>(std::bit_width(ns) - 1);
  if (power >= octaves) {
    return buckets - 1;
  }
  const uint64_t part = power >= 2 ? (ns >> (power - 2)) & 3 : (ns << (2 - power)) & 3;
  return power * per_octave + static_cast<size_t>(part);
}

uint64_t DurationHistogram::percentile(double share) const {
  const auto all = static_cast<double>(total());
  if (all == 0) {
    return 0;
  }
  const double wanted = std::clamp(share, 0.0, 1.0) * all;
  double below = 0;
  for (size_t i = 0; i < buckets; i++) {
    const auto here = static_cast<double>(counts_[i]);
    if (here > 0 && below + here >= wanted) {
      const auto from = static_cast<double>(duration_of_bucket(i));
      const double to = i + 1 < buckets ? static_cast<double>(duration_of_bucket(i + 1)) : from;
      return static_cast<uint64_t>(from + (to - from) * (wanted - below) / here);
    }
    below += here;
  }
  return duration_of_bucket(buckets - 1);
}

}  // namespace ipcscope
