// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace ipcscope {

struct SemaphoreWord {
  uint32_t value = 0;
  uint32_t waiters = 0;
};

/// Bytes of a named semaphore's file: sizeof(sem_t) of a 64-bit and of a 32-bit program.
constexpr uint64_t semaphore_bytes = 32;
constexpr uint64_t semaphore_bytes_32 = 16;

/// A sem_t from its memory. 64-bit glibc: one word with the value in the low and the number of
/// waiters in the high half; 32-bit: the value above a flag bit, and the waiters in a word of their
/// own (glibc 2.36 sysdeps/nptl/internaltypes.h, struct new_sem). musl has the same two halves with
/// a flag in the top bit of the value (musl 1.2 src/thread/sem_post.c).
inline std::optional<SemaphoreWord> decode_semaphore(std::string_view bytes, uint64_t file_bytes) {
  const auto word = [bytes](size_t index) {
    uint32_t value = 0;
    __builtin_memcpy(&value, bytes.data() + index * sizeof value, sizeof value);
    return value;
  };
  if (file_bytes == semaphore_bytes_32 && bytes.size() >= 16) {
    return SemaphoreWord{word(0) >> 1, word(3)};
  }
  if (file_bytes == semaphore_bytes && bytes.size() >= 8) {
    return SemaphoreWord{word(0) & 0x7fffffffU, word(1)};
  }
  return std::nullopt;
}

}  // namespace ipcscope
