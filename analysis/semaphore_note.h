// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "collectors/model/snapshot.h"

namespace ipcscope {

/// One of the operations that semop() was called with.
struct SemaphoreOperation {
  uint16_t semaphore = 0;  ///< its index in the set
  int16_t change = 0;      ///< 0: waits for zero
};

/// Which of the operations a thread sleeps at, and who operated on that semaphore last. Empty where
/// neither is known. The kernel does all of them or none, in their order (Linux ipc/sem.c,
/// perform_atomic_semop), so what holds it up is the first that the values do not allow.
std::string semaphore_note(const Snapshot& snapshot, const Channel& set,
                           std::span<const SemaphoreOperation> operations);

}  // namespace ipcscope
