// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string_view>
#include <vector>

#include "bpf/filelock.h"

namespace ipcscope {

/// A held lock of /proc/locks, as a record without a file: identities 0, fd -1, waiters counted from
/// the lines below it. pid 0 where the kernel names none. Lines that do not parse, and the kinds that
/// have no record (delegations, layouts), are left out (Linux 6.18 fs/locks.c, lock_get_status()).
std::vector<lock_record> parse_lock_lines(std::string_view text);

}  // namespace ipcscope
