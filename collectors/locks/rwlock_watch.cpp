// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/locks/rwlock_watch.h"

#include <algorithm>

#include "collectors/target_memory.h"

namespace ipcscope {

namespace {

constexpr size_t most = 32;

// glibc 2.36 nptl/pthread_rwlock_common.c: readers, and the first writer, wait at __wrphase_futex,
// eight bytes behind __readers, which has these bits below the number of readers.
constexpr uint64_t readers_before = 8;
constexpr uint32_t write_phase = 1, write_locked = 2;
constexpr int reader_shift = 3;

// The words from __readers on (sysdeps/x86/nptl/bits/struct_rwlock.h, and that of arm64): what is
// behind four of them is padding, which is the writer where __writers_futex was taken for
// __wrphase_futex.
struct Words {
  uint32_t readers, writers, phase_futex, writers_futex, padding[2], writer;
};

constexpr size_t writers_max = 64;  // of one span

}  // namespace

void RwlockWatch::add(const lock_key& key, const LockIdentity& lock) {
  const auto known = std::find_if(seen_.begin(), seen_.end(),
                                  [&](const Seen& each) { return LockKeyEqual()(each.key, key); });
  if (known == seen_.end() && seen_.size() < most) {
    Seen& each = seen_.emplace_back();
    each.key = key;
    each.pid = lock.pid;
    each.address = lock.address;
  }
}

void RwlockWatch::look() {
  TargetMemory memory(true);
  for (Seen& each : seen_) {
    Words words{};
    if (each.other_word ||
        !memory.read(each.pid, each.address - readers_before, &words, sizeof words)) {
      continue;
    }
    each.other_word = words.padding[1] != 0;
    look_at_readers(each, words.readers);
    look_at_writers(each, words.readers, words.writer);
  }
}

void RwlockWatch::look_at_readers(Seen& each, uint32_t word) {
  const uint32_t readers = word >> reader_shift;
  if ((word & (write_phase | write_locked)) != write_locked || readers == 0) {
    return;
  }
  each.looks++;
  if (readers != each.readers && each.looks > 1) {
    each.changed++;
  }
  each.readers = readers;
}

void RwlockWatch::look_at_writers(Seen& each, uint32_t word, uint32_t writer) {
  const auto now = std::chrono::steady_clock::now();
  if ((word & write_phase) == 0 || word >> reader_shift == 0) {
    each.writers.clear();
    return;
  }
  if (each.writers.empty()) {
    each.returned_now = 0;
    each.begin = now;
  }
  if (writer == 0 || (!each.writers.empty() && each.writers.back() == writer)) {
    return;
  }
  const auto known = std::find(each.writers.begin(), each.writers.end(), writer);
  if (known != each.writers.end()) {
    std::rotate(known, known + 1, each.writers.end());
    each.returned_now++;
  } else if (each.writers.size() < writers_max) {
    each.writers.push_back(writer);
  }
  if (each.returned_now > each.returned) {
    each.returned = each.returned_now;
    each.kept_ns = static_cast<uint64_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(now - each.begin).count());
  }
}

void RwlockWatch::forget_counts() {
  for (Seen& each : seen_) {
    each.looks = 0;
    each.changed = 0;
    each.returned = 0;
    each.kept_ns = 0;
    each.writers.clear();
  }
}

}  // namespace ipcscope
