// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <array>
#include <bitset>

#include "bpf/locks.h"
#include "collectors/model/snapshot.h"

namespace ipcscope {

/// What the programs of locks are to know of each system call, for the kinds that are wanted (none
/// set: all).
std::array<lock_call, LOCK_CALLS> make_lock_calls(std::bitset<kind_count> kinds);

}  // namespace ipcscope
