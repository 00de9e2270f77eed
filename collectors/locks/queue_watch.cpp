// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/locks/queue_watch.h"

#include <bpf/bpf.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "collectors/base/fd.h"

namespace ipcscope {

namespace {
constexpr std::chrono::milliseconds every{20};

/// How many waits for room at a queue have ended.
uint64_t room_waits(const lock_program& program, lock_key key) {
  key.purpose = LOCK_FOR_ROOM;
  lock_value value{};
  return ::bpf_map_lookup_elem(program.locks, &key, &value) == 0 ? value.waits : 0;
}

}  // namespace

void QueueWatch::add(const lock_program& program, const lock_key& key, const lock_value& value) {
  const bool posix = key.wait == WAIT_AT_FILE && (value.mode & S_IFMT) == S_IFREG;
  const uint64_t address = posix ? key.object : value.file;
  if ((!posix && key.wait != WAIT_AT_MSG) || address == 0 || count_ == seen_.size() ||
      std::any_of(begin(), end(), [&](const Seen& each) {  // senders and receivers wait apart
        return each.key.object == key.object && each.key.space == key.space;
      })) {
    return;
  }
  seen_[count_].key = key;
  queue_look& look = program.queues[count_++];
  look.is_posix = posix ? 1 : 0;
  look.id = posix ? 0 : static_cast<u32>(key.object);
  look.address = address;
}

void QueueWatch::look(const lock_program& program) {
  const auto now = std::chrono::steady_clock::now();
  if (empty() || now < next_) {
    return;
  }
  next_ = now + every;
  const Fd iterator(::bpf_iter_create(program.queues_link));
  char unused[64];
  if (!iterator || (::read(iterator.get(), unused, sizeof unused) < 0 && errno != EAGAIN)) {
    return;
  }
  for (size_t i = 0; i < count_; i++) {
    Seen& seen = seen_[i];
    const queue_look look = program.queues[i];
    const uint64_t taken = look.is_posix != 0 ? room_waits(program, seen.key) : 0;
    if (look.oldest == 0 || look.oldest != seen.oldest) {
      seen.stayed = 0;
      seen.passed = 0;
    } else {
      seen.stayed++;
      // The same address may be another message: that is missed, never made up. Those of a POSIX
      // queue differ in priority, so what was taken went past the oldest.
      if (look.other != 0 && seen.other != 0) {
        seen.passed += std::max<uint64_t>(taken - seen.taken, look.other != seen.other ? 1 : 0);
      }
    }
    if (seen.passed > seen.most_passed) {
      seen.most_passed = seen.passed;
      seen.most_stayed = seen.stayed;
    }
    seen.taken = taken;
    seen.oldest = look.oldest;
    seen.other = look.other;
  }
}

void QueueWatch::forget_counts() {
  for (Seen& each : seen_) {
    each.stayed = each.passed = each.most_stayed = each.most_passed = 0;
  }
}

}  // namespace ipcscope
