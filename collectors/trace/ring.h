// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "collectors/base/result.h"

namespace ipcscope {

/// The reading side of a BPF ring buffer (Linux kernel/bpf/ringbuf.c). libbpf's calls a function
/// through a pointer and tells the kernel its position for each record; at millions of records a
/// second, that is what limits it.
class RingReader {
 public:
  /// map: descriptor of the map, which has to live as long. bytes: its size.
  static Result<RingReader> open(int map, size_t bytes);
  RingReader(RingReader&& other) noexcept;
  RingReader& operator=(RingReader&&) = delete;
  ~RingReader();

  /// What is there from now on is read up to here.
  void look() { end_ = __atomic_load_n(producer_, __ATOMIC_ACQUIRE); }
  /// The record at a position, or nothing: it is the end, or still being filled (busy is set then).
  /// Moves the position over what was discarded.
  std::span<const std::byte> record(uint64_t& position, bool& busy) const {
    while (position < end_) {
      const std::byte* head = data_ + (position & (bytes_ - 1));
      const uint32_t length =
          __atomic_load_n(reinterpret_cast<const uint32_t*>(head), __ATOMIC_ACQUIRE);
      if ((length & busy_bit) != 0) {
        busy = true;
        break;
      }
      if ((length & discarded_bit) == 0) {
        return {head + header, length};
      }
      position += space(length & ~discarded_bit);
    }
    return {};
  }
  /// How many bytes a record of this size takes up.
  static uint64_t space(size_t size) { return (size + header + 7) & ~uint64_t{7}; }

  /// Where the next record begins.
  [[nodiscard]] uint64_t position() const { return position_; }
  /// What is before position was read; tells the kernel, but not each time.
  void advance(uint64_t position) {
    position_ = position;
    if (position - told_ > bytes_ / 64) {
      release();
    }
  }
  /// Tells the kernel how far was read.
  void release() {
    if (told_ != position_) {
      told_ = position_;
      __atomic_store_n(consumer_, position_, __ATOMIC_RELEASE);
    }
  }

 private:
  static constexpr uint32_t busy_bit = 1U << 31;
  static constexpr uint32_t discarded_bit = 1U << 30;
  static constexpr size_t header = 8;
  RingReader() = default;

  uint64_t* consumer_ = nullptr;
  const uint64_t* producer_ = nullptr;
  const std::byte* data_ = nullptr;
  size_t bytes_ = 0;
  size_t page_ = 0;
  uint64_t position_ = 0, told_ = 0, end_ = 0;
};

}  // namespace ipcscope
