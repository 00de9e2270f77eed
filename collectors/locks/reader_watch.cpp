// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/locks/reader_watch.h"

#include <fmt/format.h>

#include <algorithm>

#include "collectors/proc/task_files.h"
#include "collectors/syscalls.h"

namespace ipcscope {

namespace {

constexpr size_t most = 16;

/// Whether it sleeps, and not for something to read: watching descriptors for that is no sleep
/// elsewhere either.
bool sleeps_elsewhere(std::string_view text) {
  const auto call = text.starts_with("running") ? std::nullopt : parse_syscall(text);
  if (!call || call->number < 0) {
    return false;
  }
  const SystemCall* known = find_system_call(call->number);
  if (known == nullptr) {
    return true;
  }
  switch (known->blocking) {
    case Blocking::fd_read:
    case Blocking::transfer:
    case Blocking::poll:
    case Blocking::select:
    case Blocking::message_queue:
      return false;
    default:
      return true;
  }
}

}  // namespace

void ReaderWatch::choose(const std::vector<std::pair<pair_key, pair_value>>& pairs) {
  std::vector<Seen> chosen;
  for (const auto& pair : pairs) {
    const pair_key& key = pair.first;
    const pair_value& value = pair.second;
    if (key.lock.purpose != LOCK_FOR_ROOM || key.lock.wait != WAIT_AT_FILE || value.waker == 0) {
      continue;
    }
    const auto known = std::find_if(chosen.begin(), chosen.end(), [&](const Seen& each) {
      return LockKeyEqual()(each.key, key.lock);
    });
    const Seen reader{key.lock, static_cast<int32_t>(value.waker), value.waits, 0, 0};
    if (known == chosen.end()) {
      chosen.push_back(reader);
    } else if (reader.waits > known->waits) {
      *known = reader;
    }
  }
  std::sort(chosen.begin(), chosen.end(),
            [](const Seen& a, const Seen& b) { return a.waits > b.waits; });
  chosen.resize(std::min(chosen.size(), most));
  for (Seen& each : chosen) {
    const auto before = std::find_if(seen_.begin(), seen_.end(), [&](const Seen& old) {
      return LockKeyEqual()(old.key, each.key) && old.tid == each.tid;
    });
    if (before != seen_.end()) {
      each.looks = before->looks;
      each.asleep = before->asleep;
    }
  }
  seen_ = std::move(chosen);
}

void ReaderWatch::look() {
  for (Seen& each : seen_) {
    const Result<std::string> text = proc_.read(fmt::format("{}/syscall", each.tid));
    if (text) {
      each.looks++;
      each.asleep += sleeps_elsewhere(*text) ? 1 : 0;
    }
  }
}

void ReaderWatch::forget_counts() {
  for (Seen& each : seen_) {
    each.looks = 0;
    each.asleep = 0;
  }
}

}  // namespace ipcscope
