// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/locks/rwlock_watch.h"

#include <algorithm>

#include "collectors/target_memory.h"

namespace ipcscope {

namespace {

constexpr size_t most = 32;

// glibc 2.36 nptl/pthread_rwlock_common.c: the first writer waits at __wrphase_futex, eight bytes
// behind __readers, which has these bits below the number of readers.
constexpr uint64_t readers_before = 8;
constexpr uint32_t write_phase = 1, write_locked = 2;
constexpr int reader_shift = 3;

}  // namespace

void RwlockWatch::add(const lock_key& key, const LockIdentity& lock) {
  const auto known = std::find_if(seen_.begin(), seen_.end(),
                                  [&](const Seen& each) { return LockKeyEqual()(each.key, key); });
  if (known == seen_.end() && seen_.size() < most) {
    seen_.push_back({key, lock.pid, lock.address});
  }
}

void RwlockWatch::look() {
  TargetMemory memory(true);
  for (Seen& each : seen_) {
    uint32_t word = 0;
    if (!memory.read(each.pid, each.address - readers_before, &word, sizeof word) ||
        (word & (write_phase | write_locked)) != write_locked) {
      continue;
    }
    const uint32_t readers = word >> reader_shift;
    if (readers == 0) {
      continue;
    }
    each.looks++;
    if (readers != each.readers && each.looks > 1) {
      each.changed++;
    }
    each.readers = readers;
  }
}

void RwlockWatch::forget_counts() {
  for (Seen& each : seen_) {
    each.looks = 0;
    each.changed = 0;
  }
}

}  // namespace ipcscope
