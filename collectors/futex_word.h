// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

namespace ipcscope {

/// What a futex word is a part of.
enum class Primitive : uint8_t {
  unknown,
  mutex,
  pi_mutex,
  rwlock,
  join,
  condvar,
  semaphore,
  barrier,
};
const char* primitive_name(Primitive primitive);

enum class FutexCallKind : uint8_t { wait, wait_bitset, lock_pi, wait_requeue_pi };

/// How a thread waits at it.
struct FutexCall {
  FutexCallKind kind = FutexCallKind::wait;
  uint64_t address = 0;
  uint32_t expected = 0;
  uint32_t waiters = 1;       ///< threads that wait at the same word
  bool private_flag = false;  ///< FUTEX_PRIVATE_FLAG
  bool realtime = false;      ///< FUTEX_CLOCK_REALTIME
};

/// The memory around a futex word, as much of it as could be read.
class FutexView {
 public:
  static constexpr int before = 48, after = 48;
  /// offset: from the futex word.
  void put(int offset, std::string_view bytes);
  /// The 32-bit word at offset from the futex word.
  [[nodiscard]] std::optional<uint32_t> at(int offset) const;

 private:
  std::array<char, before + after> bytes_{};
  std::array<bool, before + after> known_{};
};

struct FutexGuess {
  enum class Owner : uint8_t {
    unknown,
    none_by_design,
    thread,  ///< owner_tid holds it
    died,    ///< whoever held it is gone
  };
  Primitive primitive = Primitive::unknown;
  Owner owner = Owner::unknown;
  uint32_t owner_tid = 0;  ///< in the PID namespace of the target
};

/// Tells by the layouts of glibc 2.36 (x86-64, arm64) and musl 1.2 what a word belongs to and who
/// holds it. Rather says unknown than guesses. live tells whether a number is a thread that lives
/// and can reach the memory.
FutexGuess judge_futex(const FutexCall& call, const FutexView& view,
                       const std::function<bool(uint32_t)>& live);

}  // namespace ipcscope
