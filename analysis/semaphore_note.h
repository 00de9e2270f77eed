// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "collectors/model/snapshot.h"

namespace ipcscope {

/// One of the operations that semop() was called with.
struct SemaphoreOperation {
  uint16_t semaphore = 0;  ///< its index in the set
  int16_t change = 0;      ///< 0: waits for zero
};

/// A semaphore of value 0 that threads wait to lower, and who operated on it last.
struct AwaitedSemaphore {
  uint16_t semaphore = 0;
  int64_t waiters = 0;
  int32_t last_pid = 0;
};
/// Those of the attribute `semaphores` of a set. One on which nobody has operated, or somebody of
/// another PID namespace, is left out.
std::vector<AwaitedSemaphore> awaited_semaphores(std::string_view json);

/// Which of the operations a thread sleeps at, and who operated on that semaphore last. Empty where
/// neither is known. The kernel does all of them or none, in their order (Linux ipc/sem.c,
/// perform_atomic_semop), so what holds it up is the first that the values do not allow.
std::string semaphore_note(const Snapshot& snapshot, const Channel& set,
                           std::span<const SemaphoreOperation> operations);

}  // namespace ipcscope
