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

  /// Calls take(record) for what is there now; returns how many records that were.
  template <typename Take>
  size_t drain(const Take& take) {
    uint64_t at = *consumer_;
    const uint64_t end = __atomic_load_n(producer_, __ATOMIC_ACQUIRE);
    uint64_t told = at;
    size_t count = 0;
    while (at < end) {
      const std::byte* head = data_ + (at & (bytes_ - 1));
      const uint32_t length =
          __atomic_load_n(reinterpret_cast<const uint32_t*>(head), __ATOMIC_ACQUIRE);
      if ((length & busy) != 0) {
        break;  // it is still being filled
      }
      const uint32_t size = length & ~(busy | discarded);
      if ((length & discarded) == 0) {
        take(std::span<const std::byte>(head + header, size));
        count++;
      }
      at += (size + header + 7) & ~uint64_t{7};
      if (at - told > bytes_ / 64) {
        told = at;
        __atomic_store_n(consumer_, at, __ATOMIC_RELEASE);
      }
    }
    __atomic_store_n(consumer_, at, __ATOMIC_RELEASE);
    return count;
  }
  /// Hundredths of the buffer that wait to be read.
  [[nodiscard]] unsigned fill() const {
    return static_cast<unsigned>((__atomic_load_n(producer_, __ATOMIC_ACQUIRE) - *consumer_) * 100 /
                                 bytes_);
  }

 private:
  static constexpr uint32_t busy = 1U << 31;
  static constexpr uint32_t discarded = 1U << 30;
  static constexpr size_t header = 8;
  RingReader() = default;

  uint64_t* consumer_ = nullptr;
  const uint64_t* producer_ = nullptr;
  const std::byte* data_ = nullptr;
  size_t bytes_ = 0;
  size_t page_ = 0;
};

}  // namespace ipcscope
