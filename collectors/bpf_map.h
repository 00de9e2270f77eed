// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <bpf/bpf.h>

#include <array>
#include <cerrno>
#include <memory>

#include "bpf/record.h"
#include "collectors/base/result.h"

namespace ipcscope {

/// Takes everything out of a BPF hash map (Linux 5.6), and calls take(key, value) for each. What a
/// program adds to a value in the moment in which that is taken out may be lost.
template <typename Key, typename Value, typename Take>
Result<void> take_all(int map, const Take& take) {
  constexpr u32 batch = 1024;  // less than one of its buckets has would be refused
  struct Batch {
    std::array<Key, batch> keys;
    std::array<Value, batch> values;
  };
  const auto got = std::make_unique<Batch>();
  u32 place = 0;
  for (bool begun = false, done = false; !done; begun = true) {
    u32 count = batch;
    u32 next = 0;
    done = ::bpf_map_lookup_and_delete_batch(map, begun ? &place : nullptr, &next, got->keys.data(),
                                             got->values.data(), &count, nullptr) != 0;
    if (done && errno != ENOENT) {  // which is the end
      return system_failure("reading a BPF map");
    }
    place = next;
    for (u32 i = 0; i < count; i++) {
      take(got->keys[i], got->values[i]);
    }
  }
  return {};
}

}  // namespace ipcscope
