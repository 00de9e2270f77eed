// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <string_view>

#include "collectors/base/proc_root.h"

namespace ipcscope {

/// Whether a TCP connection with this identifier ("tcp:127.0.0.1:80-127.0.0.1:4242") has both ends
/// on one host, by the addresses alone.
bool is_within_host(std::string_view id);

/// Whether the other end of an established TCP connection within the host is gone without a word:
/// the kernel's own table of the process's network namespace has this end, and nothing at all with
/// the two ports the other way round. That table has the sockets of the kernel too, those that
/// nobody accepted and those that nobody has open any more. False where it cannot be told.
bool has_lost_peer(const ProcRoot& proc, int pid, uint64_t inode);

}  // namespace ipcscope
