// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/proc/queues.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <cstdio>
#include <memory>

#include "collectors/base/fd.h"
#include "collectors/base/own_thread.h"
#include "collectors/mq_directory.h"
#include "collectors/name_spaces.h"

namespace ipcscope {

namespace {

/// Where the system has it mounted, for a user who may not mount.
Fd usual_mount() {
  Fd directory(::open("/dev/mqueue", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  struct statfs status {};
  if (!directory || ::fstatfs(directory.get(), &status) != 0 || status.f_type != mqueue_magic) {
    return {};
  }
  return directory;
}

}  // namespace

QueueTable::NameSpace QueueTable::load(int pid, uint32_t ipc_ns) const {
  NameSpace result;
  char path[32];
  std::snprintf(path, sizeof path, "%d/ns/ipc", pid);
  const Fd target(::openat(root_.descriptor(), path, O_RDONLY | O_CLOEXEC));
  const auto own = root_.namespace_id(static_cast<int>(::getpid()), "ipc");
  const bool is_own = own && *own == ipc_ns;
  run_in_own_thread([&] {
    if (!is_own && (!target || ::setns(target.get(), CLONE_NEWIPC) != 0)) {
      return;
    }
    Fd directory = detached_mqueue();
    if (!directory && is_own) {
      directory = usual_mount();
    }
    struct stat status {};
    if (!directory || ::fstat(directory.get(), &status) != 0) {
      return;
    }
    result.device = record_device(status.st_dev);
    const std::unique_ptr<DIR, int (*)(DIR*)> names(::fdopendir(::dup(directory.get())),
                                                    ::closedir);
    while (const dirent* entry = names ? ::readdir(names.get()) : nullptr) {
      // d_ino is the inode's number here: mqueue uses simple_readdir (fs/libfs.c).
      result.inodes.emplace(entry->d_name, entry->d_ino);
    }
  });
  return result;
}

std::optional<Mount> QueueTable::find(std::string_view name, uint64_t inode, int pid,
                                      uint32_t ipc_ns) {
  if (!live_) {
    return std::nullopt;
  }
  const std::lock_guard guard(lock_);
  auto found = name_spaces_.find(ipc_ns);
  if (found == name_spaces_.end()) {
    found = name_spaces_.emplace(ipc_ns, load(pid, ipc_ns)).first;
  }
  const auto queue = found->second.inodes.find(name);
  if (queue == found->second.inodes.end() || queue->second != inode) {
    return std::nullopt;
  }
  return Mount{found->second.device, true, mqueue_magic};
}

}  // namespace ipcscope
