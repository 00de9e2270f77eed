// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/shm_directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include <algorithm>
#include <memory>

#include "collectors/base/parse.h"
#include "collectors/name_spaces.h"

namespace ipcscope {

namespace {

/// Takes an O_PATH descriptor: only after the file system is known is anything in it looked at.
Result<ShmDirectory> open_if_tmpfs(const Fd& path) {
  struct statfs system {};
  if (::fstatfs(path.get(), &system) != 0) {
    return system_failure("/dev/shm");
  }
  if (system.f_type != TMPFS_MAGIC) {
    return failure("/dev/shm is not on tmpfs");
  }
  ShmDirectory directory;
  directory.fd.reset(::openat(path.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  struct stat status {};
  if (!directory.fd || ::fstat(directory.fd.get(), &status) != 0) {
    return system_failure("/dev/shm");
  }
  directory.device = record_device(status.st_dev);
  return directory;
}

/// File systems whose lookup never waits for another machine or for a process.
bool is_local(std::string_view type) {
  static constexpr std::string_view types[] = {
      "overlay", "ext4", "ext3", "ext2",  "xfs",      "btrfs", "tmpfs",  "devtmpfs",
      "ramfs",   "zfs",  "f2fs", "erofs", "squashfs", "vfat",  "rootfs", "bcachefs",
  };
  return std::find(std::begin(types), std::end(types), type) != std::end(types);
}

/// Steps one component down without following a symbolic link, which an absolute target would take
/// into our own root.
Fd step(const Fd& from, const char* name) {
  return Fd(::openat(from.get(), name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

Result<ShmDirectory> directory_of(const ProcRoot& proc, int pid) {
  const Fd root(::openat(proc.descriptor(), fmt::format("{}/root", pid).c_str(),
                         O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root) {
    return system_failure(fmt::format("/proc/{}/root", pid));
  }
  const Fd dev = step(root, "dev");
  const Fd shm = dev ? step(dev, "shm") : Fd();
  if (!shm) {
    return system_failure(fmt::format("/proc/{}/root/dev/shm", pid));
  }
  return open_if_tmpfs(shm);
}

}  // namespace

int64_t last_change(const struct stat& status) {
  return std::max<int64_t>(status.st_mtim.tv_sec, status.st_ctim.tv_sec);
}

Result<ShmDirectory> own_shm_directory(const ProcRoot& proc) {
  const Fd path(::openat(proc.descriptor(), "self/root/dev/shm", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!path) {
    return system_failure("/dev/shm");
  }
  return open_if_tmpfs(path);
}

std::optional<MountPoint> find_mount(std::string_view mountinfo, std::string_view path) {
  std::optional<MountPoint> found;
  while (!mountinfo.empty()) {
    std::string_view line = next_line(mountinfo);
    next_word(line);  // mount id
    next_word(line);  // parent
    const std::string_view device = next_word(line);
    next_word(line);  // root within the file system
    if (next_word(line) != path) {
      continue;
    }
    const size_t separator = line.find(" - ");
    const auto major = parse_number<uint32_t>(device.substr(0, device.find(':')));
    const auto minor = parse_number<uint32_t>(device.substr(device.find(':') + 1));
    if (separator == std::string_view::npos || !major || !minor) {
      continue;
    }
    line.remove_prefix(separator + 3);
    found = MountPoint{*major << 20 | *minor, next_word(line)};
  }
  return found;
}

std::vector<ShmDirectory> other_shm_directories(const Snapshot& snapshot, const ProcRoot& proc,
                                                uint32_t own_mnt_ns, std::vector<uint32_t> seen,
                                                std::vector<std::string>& failures) {
  std::vector<ShmDirectory> directories;
  for (const NameSpace& other : other_name_spaces(snapshot, &Process::mnt_ns, own_mnt_ns)) {
    std::string why = "no process to look through";
    for (const int pid : other.pids) {
      const Result<std::string> mounts = proc.read(fmt::format("{}/mountinfo", pid));
      if (!mounts) {
        why = mounts.error().code.message();
        continue;
      }
      why.clear();
      const auto shm = find_mount(*mounts, "/dev/shm");
      if (!shm || shm->type != "tmpfs" ||
          std::find(seen.begin(), seen.end(), shm->device) != seen.end()) {
        break;  // it has none of its own, or one that is listed already
      }
      const auto root = find_mount(*mounts, "/");
      const auto dev = find_mount(*mounts, "/dev");
      if (!root || !is_local(root->type) || (dev && !is_local(dev->type))) {
        why = "its root file system may be remote";
        break;
      }
      Result<ShmDirectory> directory = directory_of(proc, pid);
      if (!directory) {
        why = directory.error().code.message();
        continue;
      }
      directory->name_space = other.inode;
      seen.push_back(shm->device);
      directories.push_back(std::move(*directory));
      break;
    }
    if (!why.empty()) {
      failures.push_back(std::move(why));
    }
  }
  return directories;
}

std::vector<ShmEntry> list_shm(const ShmDirectory& directory) {
  std::vector<ShmEntry> entries;
  const int copy = ::openat(directory.fd.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (copy < 0) {
    return entries;
  }
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(copy), ::closedir);
  while (const dirent* entry = ::readdir(stream.get())) {
    struct stat status {};
    if (::fstatat(directory.fd.get(), entry->d_name, &status,
                  AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) != 0 ||
        !S_ISREG(status.st_mode) || record_device(status.st_dev) != directory.device) {
      continue;
    }
    entries.push_back({entry->d_name, status.st_ino, static_cast<uint64_t>(status.st_size),
                       static_cast<uint64_t>(status.st_blocks) * 512, status.st_uid, status.st_gid,
                       status.st_mode, last_change(status)});
  }
  return entries;
}

std::optional<std::string> read_shm(const ShmDirectory& directory, const std::string& name,
                                    uint64_t inode, size_t size) {
  // Looked at before it is opened, and again after: it may have been replaced in between.
  const auto right = [&](const struct stat& status) {
    return S_ISREG(status.st_mode) && status.st_ino == inode &&
           record_device(status.st_dev) == directory.device;
  };
  struct stat status {};
  if (::fstatat(directory.fd.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) !=
          0 ||
      !right(status)) {
    return std::nullopt;
  }
  const Fd file(::openat(directory.fd.get(), name.c_str(),
                         O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!file || ::fstat(file.get(), &status) != 0 || !right(status)) {
    return std::nullopt;
  }
  std::string bytes(size, '\0');
  const ssize_t got = ::pread(file.get(), bytes.data(), size, 0);
  if (got < 0) {
    return std::nullopt;
  }
  bytes.resize(static_cast<size_t>(got));
  return bytes;
}

}  // namespace ipcscope
