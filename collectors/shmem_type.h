// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <string_view>

#include "bpf/shmem.h"
#include "collectors/base/proc_root.h"

namespace ipcscope {

enum class ShmemType : uint8_t {
  none,       ///< a device, a ring of an anonymous inode: nothing that two processes share by name
  memfd,      ///< memfd_create()
  sysv,       ///< shmget()
  anonymous,  ///< MAP_SHARED | MAP_ANONYMOUS
  tmpfs,      ///< a file on tmpfs (or devtmpfs): its path tells whether it is a POSIX object
  file,       ///< any other regular file
};

/// What a file is by the names that the kernel gives to files which nobody can open by path (Linux
/// 6.18 mm/memfd.c, ipc/shm.c newseg(), mm/shmem.c shmem_zero_setup(), mm/mmap.c). A linked file
/// that somebody called like that is not mistaken for one. mode may be UNKNOWN_U32.
ShmemType shmem_type(const shmem_facts& facts, uint32_t mode);

/// The name in facts; it may be cut at SHMEM_NAME_MAX.
std::string_view shmem_name(const shmem_facts& facts);

/// On hugetlbfs.
bool is_huge(const shmem_facts& facts);

/// The path of a mapped file as /proc tells it, " (deleted)" included, without touching the file;
/// empty when it cannot be told. start and end are the mapping's addresses.
std::string mapping_path(const ProcRoot& proc, uint32_t pid, uint64_t start, uint64_t end);

/// Cuts " (deleted)" off; unlinked tells whether the kernel has put it there rather than the name
/// ending like that.
std::string_view without_deleted(std::string_view path, bool unlinked);

constexpr std::string_view deleted_suffix = " (deleted)";

}  // namespace ipcscope
