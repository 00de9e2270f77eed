// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/name_spaces.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#include <algorithm>

namespace ipcscope {

std::vector<NameSpace> other_name_spaces(const Snapshot& snapshot, uint32_t Process::*which,
                                         uint32_t own) {
  constexpr size_t enough = 4;
  std::vector<NameSpace> found;
  for (const Process& process : snapshot.processes) {
    const uint32_t inode = process.*which;
    if (inode == 0 || inode == own) {
      continue;
    }
    auto at =
        std::lower_bound(found.begin(), found.end(), inode,
                         [](const NameSpace& each, uint32_t key) { return each.inode < key; });
    if (at == found.end() || at->inode != inode) {
      at = found.insert(at, NameSpace{inode, {}});
    }
    if (at->pids.size() < enough) {
      at->pids.push_back(process.pid);
    }
  }
  return found;
}

Result<Fd> open_name_space(const ProcRoot& proc, const NameSpace& name_space, const char* kind) {
  int number = ESRCH;
  for (const int pid : name_space.pids) {
    const std::string path = fmt::format("{}/ns/{}", pid, kind);
    Fd file(::openat(proc.descriptor(), path.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat status {};
    if (file && ::fstat(file.get(), &status) == 0 && status.st_ino == name_space.inode) {
      return file;
    }
    number = file ? ESRCH : errno;
  }
  return system_failure(fmt::format("namespace {}:[{}]", kind, name_space.inode), number);
}

bool is_live(const ProcRoot& proc) {
  struct statfs status {};
  return ::fstatfs(proc.descriptor(), &status) == 0 && status.f_type == PROC_SUPER_MAGIC;
}

std::string device_text(uint32_t device) {
  return fmt::format("{}:{}", device >> 20, device & 0xfffffU);
}

uint32_t record_device(dev_t device) { return major(device) << 20 | minor(device); }

}  // namespace ipcscope
