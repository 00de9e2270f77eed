// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "collectors/base/proc_root.h"
#include "collectors/model/leftovers.h"

namespace ipcscope {

/// Whether nobody but us has the file open or mapped or sent and not received, in any namespace:
/// the kernel grants a write lease only then (Linux 6.18 fs/locks.c, check_conflicting_open; before
/// 5.3 it went by the references to the inode). Nothing when it cannot be asked: no permission
/// (needs the owner or CAP_LEASE), or not this file any more.
///
/// The lease is given back at once. Somebody who opens the file in these microseconds waits for
/// that; one who opens with O_NONBLOCK gets EWOULDBLOCK. directory must be on tmpfs or mqueue.
std::optional<bool> is_unused(int directory, const char* name, uint32_t device, uint64_t inode);

/// Whether bytes could have been written by a program that writes text: no NUL among them, which
/// memory that was only set to its size is full of.
bool is_text(std::string_view bytes);

/// Asks so for every POSIX object and queue that no process of the snapshot has; fills unused
/// and text.
/// Coverage: "write-lease".
void ask_leases(const Snapshot& snapshot, const ProcRoot& proc, Leftovers& leftovers,
                std::vector<Coverage>& coverage);

}  // namespace ipcscope
