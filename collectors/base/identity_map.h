// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ipcscope {

/// A hash table from a kernel identity (never 0) to an index, made for hundreds of thousands of
/// insertions: one flat array, linear probing, at most half full.
class IdentityMap {
 public:
  /// The slot of key, with inserted telling whether it is new (then it holds UINT32_MAX).
  uint32_t& slot(uint64_t key, bool& inserted) {
    if (used_ * 2 >= slots_.size()) {
      grow();
    }
    Slot& found = probe(key);
    inserted = found.key == 0;
    if (inserted) {
      found.key = key;
      used_++;
    }
    return found.value;
  }

  /// UINT32_MAX when key is not there.
  [[nodiscard]] uint32_t find(uint64_t key) const {
    if (slots_.empty() || key == 0) {
      return UINT32_MAX;
    }
    return const_cast<IdentityMap*>(this)->probe(key).value;
  }

  /// Begins to load the slot of key, for a loop that knows what it will look up next.
  void prefetch(uint64_t key) const {
    if (!slots_.empty()) {
      __builtin_prefetch(&slots_[home(key)]);
    }
  }

  [[nodiscard]] size_t size() const { return used_; }

 private:
  struct Slot {
    uint64_t key = 0;
    uint32_t value = UINT32_MAX;
  };

  /// Where key is, unless something else was there first.
  [[nodiscard]] size_t home(uint64_t key) const {
    // Kernel addresses differ in the middle bits; the multiplication spreads them upwards.
    return (key * 0x9e3779b97f4a7c15ULL) >> 20 & (slots_.size() - 1);
  }

  Slot& probe(uint64_t key) {
    const size_t mask = slots_.size() - 1;
    size_t at = home(key);
    while (slots_[at].key != 0 && slots_[at].key != key) {
      at = (at + 1) & mask;
    }
    return slots_[at];
  }

  void grow() {
    std::vector<Slot> old(slots_.empty() ? 1024 : slots_.size() * 2);
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.key != 0) {
        probe(slot.key) = slot;
      }
    }
  }

  std::vector<Slot> slots_;
  size_t used_ = 0;
};

}  // namespace ipcscope
