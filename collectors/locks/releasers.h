// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>

#include "collectors/base/proc_root.h"

namespace ipcscope {

/// How many threads of a process could still end a wait at a futex that is private to it: all but
/// those that wait at such a futex themselves, without a limit, at whatever address (a condition
/// variable has two). Nothing where a thread could not be looked at.
std::optional<uint64_t> releasers_left(const ProcRoot& proc, pid_t pid);

}  // namespace ipcscope
