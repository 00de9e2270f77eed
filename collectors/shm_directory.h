// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <sys/stat.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "collectors/base/fd.h"
#include "collectors/mechanism.h"

namespace ipcscope {

/// A /dev/shm, which is on tmpfs for certain.
struct ShmDirectory {
  Fd fd;                    ///< open for reading
  uint32_t device = 0;      ///< as in records
  uint32_t name_space = 0;  ///< mount namespace, 0: ipcscope's own
};

/// A regular file in it.
struct ShmEntry {
  std::string name;
  uint64_t inode = 0;
  uint64_t bytes = 0;
  uint64_t resident_bytes = 0;
  uint32_t uid = 0, gid = 0;
  uint32_t mode = 0;
  int64_t change_time = 0;  ///< last_change()
};

/// Seconds since the epoch: when the file was last written to or its inode changed, whichever is
/// later.
int64_t last_change(const struct stat& status);

/// ipcscope's own /dev/shm. Fails when there is none or it is not on tmpfs.
Result<ShmDirectory> own_shm_directory(const ProcRoot& proc);

/// The /dev/shm of every other mount namespace that is on a device not in seen, each device once;
/// why one could not be looked at goes to failures. Nothing on a file system that could be remote
/// or in user space is ever touched.
std::vector<ShmDirectory> other_shm_directories(const Snapshot& snapshot, const ProcRoot& proc,
                                                uint32_t own_mnt_ns, std::vector<uint32_t> seen,
                                                std::vector<std::string>& failures);

/// The mount at exactly this path: its device as in records, and its file system type.
struct MountPoint {
  uint32_t device = 0;
  std::string_view type;
};
/// The uppermost mount at path in the text of /proc/PID/mountinfo; type points into text.
std::optional<MountPoint> find_mount(std::string_view mountinfo, std::string_view path);

/// The regular files in directory. Subdirectories are not entered: shm_open() cannot make any.
std::vector<ShmEntry> list_shm(const ShmDirectory& directory);

/// The first bytes of a regular file in directory, at most size; nothing when it is not this inode
/// any more or may not be read.
std::optional<std::string> read_shm(const ShmDirectory& directory, const std::string& name,
                                    uint64_t inode, size_t size);

}  // namespace ipcscope
