// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <optional>

#include "collectors/base/proc_root.h"

namespace ipcscope {

/// The process that serves the file system in user space for which a thread of pid waits: the only
/// one that has the connection open. fd: of the file that the system call is about; without one it
/// has to be the only such file system that the process sees. Nothing where it is not certain.
/// Reads the descriptors of every process.
std::optional<int> find_fuse_server(const ProcRoot& proc, int pid, std::optional<int> fd);

}  // namespace ipcscope
