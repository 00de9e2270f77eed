// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/name_spaces.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#include <algorithm>

#include "collectors/base/own_thread.h"

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

std::vector<std::string> visit_ipc_name_spaces(const Assembly& assembly,
                                               const std::function<void(uint32_t inode)>& visit) {
  std::vector<std::string> refused;
  std::vector<std::pair<uint32_t, Fd>> doors;
  for (const NameSpace& other :
       other_name_spaces(assembly.builder.snapshot(), &Process::ipc_ns, assembly.own_ipc_ns)) {
    if (Result<Fd> door = open_name_space(assembly.proc, other, "ipc")) {
      doors.emplace_back(other.inode, std::move(*door));
    } else {
      refused.push_back(door.error().code.message());
    }
  }
  if (doors.empty()) {
    return refused;
  }
  const auto go = [&] {
    for (const auto& [inode, door] : doors) {
      if (::setns(door.get(), CLONE_NEWIPC) == 0) {
        visit(inode);
      } else {
        refused.push_back(std::generic_category().message(errno));
      }
    }
  };
  if (const int error = run_in_own_thread(go); error != 0) {
    refused.insert(refused.end(), doors.size(), std::generic_category().message(error));
  }
  return refused;
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
