// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstddef>
#include <cstring>
#include <type_traits>
#include <vector>

#include "bpf/record.h"

namespace ipcscope {

/// An empty record of a type: zeroes, its head filled in.
template <typename T>
T make_record(record_kind kind, uint32_t pid) {
  static_assert(std::is_trivially_copyable_v<T> && std::is_standard_layout_v<T>);
  static_assert(sizeof(T) <= UINT16_MAX && sizeof(T) % 8 == 0);
  T made{};
  reinterpret_cast<record&>(made) = {static_cast<u16>(kind), static_cast<u16>(sizeof(T)), pid};
  return made;
}

/// Records one after the other, each aligned to 8 bytes because every size is a multiple of it.
class RecordBuffer {
 public:
  /// Returns where the record is.
  template <typename T>
  size_t append(const T& fact) {
    const size_t at = bytes_.size();
    bytes_.resize(at + sizeof fact);
    std::memcpy(bytes_.data() + at, &fact, sizeof fact);
    return at;
  }
  record& at(size_t offset) { return *reinterpret_cast<record*>(bytes_.data() + offset); }
  /// Calls each(record&) in the order of insertion.
  template <typename Each>
  void for_each(Each&& each) {
    for (size_t at = 0; at < bytes_.size();) {
      record& head = *reinterpret_cast<record*>(bytes_.data() + at);
      at += head.size;
      each(head);
    }
  }
  [[nodiscard]] bool empty() const { return bytes_.empty(); }
  [[nodiscard]] size_t size() const { return bytes_.size(); }
  /// Gives the memory back.
  void release() { std::vector<std::byte>().swap(bytes_); }
  void trim() { bytes_.shrink_to_fit(); }

 private:
  std::vector<std::byte> bytes_;  // operator new aligns to 16
};

}  // namespace ipcscope
