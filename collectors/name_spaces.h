// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "collectors/base/fd.h"
#include "collectors/base/result.h"
#include "collectors/mechanism.h"

namespace ipcscope {

/// A namespace that is not ipcscope's own, and some processes that live in it.
struct NameSpace {
  uint32_t inode = 0;
  std::vector<int> pids;  ///< a few, since one may end in between
};

/// The namespaces of one type among the processes that were seen, in the order of their inode
/// numbers. One without any process (kept by a bind mount or a descriptor) is not found.
std::vector<NameSpace> other_name_spaces(const Snapshot& snapshot, uint32_t Process::*which,
                                         uint32_t own);

/// A descriptor for setns(). kind is the name in /proc/PID/ns. Fails with EACCES or EPERM without
/// the privilege to look into any of the processes.
Result<Fd> open_name_space(const ProcRoot& proc, const NameSpace& name_space, const char* kind);

/// Goes into each of the other IPC namespaces of an assembly's processes and calls visit there with
/// its inode number. Returns why one could not be entered, an entry for each.
std::vector<std::string> visit_ipc_name_spaces(const Assembly& assembly,
                                               const std::function<void(uint32_t inode)>& visit);

/// Whether proc is the kernel's and not a fake tree: only then do system calls that ask the kernel
/// for more agree with it.
bool is_live(const ProcRoot& proc);

/// "major:minor" of a device number as records carry it.
std::string device_text(uint32_t device);
/// The device number of stat() as records carry it: major << 20 | minor, the kernel's own dev_t.
uint32_t record_device(dev_t device);

}  // namespace ipcscope
