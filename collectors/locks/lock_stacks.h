// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "bpf/locks.h"
#include "collectors/base/proc_root.h"
#include "collectors/locks/lock_names.h"
#include "collectors/model/lock_window.h"
#include "collectors/stacks.h"

namespace ipcscope {

/// Where threads stand while they wait, and where those stood who woke them.
class LockStacks {
 public:
  struct Stack {
    lock_key lock;
    int32_t pid = 0, tid = 0;
    std::string comm;
    bool waker = false;
    uint64_t count = 0;
    std::vector<std::string> frames;
    std::string problem;
  };

  explicit LockStacks(const ProcRoot& proc);

  /// Looks at a few of the threads that wait now. Programs without frame pointers are unwound, too:
  /// a thread that sleeps can be looked at for long enough.
  void look(const std::vector<lock_pending>& waiting);
  /// What the kernel noted of a waker: return addresses, zero behind the last, and how often it
  /// woke somebody from there since measuring began.
  void add_waker(const waker_key& key, const std::array<uint64_t, LOCK_FRAMES>& addresses,
                 uint64_t count);
  /// What the kernel copied of a waker, a few times: it is unwound now, while its process lives.
  void add_copy(const waker_copy& copy);
  /// Counts begin anew.
  void forget();
  [[nodiscard]] std::vector<Stack> all() const;

 private:
  [[nodiscard]] bool still_waits(const lock_pending& thread) const;

  const ProcRoot& proc_;
  std::map<std::string, Stack> waiters_;  ///< by lock and frames
  struct Waker {
    Stack stack;
    uint64_t before = 0;  ///< counted before the window began
  };
  std::map<std::string, Waker> wakers_;  ///< by the bytes of the key
  /// Of a waker, likewise: what unwinding found, and how often. Without frame pointers different
  /// stacks may have the same key.
  struct Unwound {
    std::vector<std::string> frames;
    std::string problem;
    uint64_t copies = 0;
  };
  static void add_unwound(const Stack& stack, const std::vector<Unwound>& unwound,
                          std::vector<Stack>& to);
  std::map<std::string, std::vector<Unwound>> unwound_;
  StackReader reader_;
};

}  // namespace ipcscope
