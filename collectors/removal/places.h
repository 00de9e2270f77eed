// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <vector>

#include "collectors/base/fd.h"
#include "collectors/base/proc_root.h"
#include "collectors/base/result.h"
#include "collectors/removal/removal.h"

namespace ipcscope {

/// A name in a directory of some mount namespace.
struct Place {
  Fd directory;  ///< O_PATH
  std::string name;
};

/// Opens the directory of a full path in the mount namespace of the target, through the root of one
/// of its processes. Symbolic links are followed within that root. Fails when none of them lives
/// there any more.
Result<Place> open_place(const Target& target, const ProcRoot& proc);

/// Takes the calling process, which must have no other thread, into an IPC namespace.
Result<void> enter_ipc(uint32_t name_space, const std::vector<int>& pids, const ProcRoot& proc);

/// The processes that live in a namespace now; kind as in /proc/PID/ns.
std::vector<int> inhabitants(uint32_t name_space, const char* kind, const ProcRoot& proc);

/// The kind of namespace that an object lives in: "ipc" or "mnt".
const char* name_space_kind(Target::Type type);

/// The inode number of the caller's own; 0 when it cannot be read.
uint32_t own_name_space(Target::Type type);

}  // namespace ipcscope
