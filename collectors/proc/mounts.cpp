// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/proc/mounts.h"

#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <array>
#include <cstdio>
#include <string>

#include "collectors/base/parse.h"
#include "collectors/proc/fdinfo.h"

#ifndef MFD_HUGE_2MB
#define MFD_HUGE_2MB (21U << 26)
#endif
#ifndef MFD_HUGE_1GB
#define MFD_HUGE_1GB (30U << 26)
#endif

namespace ipcscope {

namespace {

/// Processes of one mount namespace whose mountinfo is read before an unknown mount stays unknown:
/// mountinfo shows what is below the process's own root, which chroot() can change.
constexpr int processes_per_namespace = 4;

}  // namespace

std::optional<MountLine> parse_mountinfo_line(std::string_view line) {
  MountLine mount;
  const auto id = next_number<int>(line);
  next_word(line);  // parent
  std::string_view device = next_word(line);
  mount.root = next_word(line);
  mount.point = next_word(line);
  const auto major = parse_number<uint32_t>(next_word(device, ":"));
  const auto minor = parse_number<uint32_t>(next_word(device, ":"));
  // Optional fields end with a lone "-".
  for (std::string_view word = next_word(line); word != "-"; word = next_word(line)) {
    if (word.empty()) {
      return std::nullopt;
    }
  }
  mount.type = next_word(line);
  if (!id || !major || !minor || *major > 0xfff || *minor > 0xfffff || mount.type.empty()) {
    return std::nullopt;
  }
  mount.id = *id;
  mount.device = *major << 20 | *minor;
  return mount;
}

FilesystemType filesystem_type(std::string_view name) {
  // A list of what is known to be harmless: everything else may be a network or a process.
  static constexpr std::array<std::string_view, 28> local = {
      "ext2",  "ext3",     "ext4",    "xfs",       "btrfs",  "f2fs",     "overlay",
      "vfat",  "exfat",    "ntfs3",   "jfs",       "nilfs2", "bcachefs", "zfs",
      "erofs", "squashfs", "iso9660", "udf",       "minix",  "rootfs",   "reiserfs",
      "tmpfs", "devtmpfs", "ramfs",   "hugetlbfs", "mqueue", "devpts",   "aufs",
  };
  FilesystemType type;
  for (const std::string_view each : local) {
    type.local |= each == name;
  }
  if (name == "tmpfs" || name == "devtmpfs") {
    type.magic = TMPFS_MAGIC;
  } else if (name == "hugetlbfs") {
    type.magic = HUGETLBFS_MAGIC;
  } else if (name == "mqueue") {
    type.magic = 0x19800202;  // MQUEUE_MAGIC in ipc/mqueue.c
  } else if (name == "devpts") {
    type.magic = DEVPTS_SUPER_MAGIC;
  }
  return type;
}

MountTable::MountTable(const ProcRoot& root) : root_(root) { learn_internal(); }

void MountTable::learn_internal() {
  // memfd, System V segments and shared anonymous memory live on mounts that no mountinfo shows.
  // One memfd of our own of each page size tells their numbers.
  for (const unsigned flags :
       {0U, MFD_HUGETLB | 0U, MFD_HUGETLB | MFD_HUGE_2MB, MFD_HUGETLB | MFD_HUGE_1GB}) {
    const Fd sample(::memfd_create("ipcscope", MFD_CLOEXEC | flags));
    struct stat status {};
    char path[32];
    std::snprintf(path, sizeof path, "self/fdinfo/%d", sample.get());
    std::string text;
    if (!sample || ::fstat(sample.get(), &status) != 0 || !root_.read(path, text)) {
      continue;
    }
    const auto info = parse_fdinfo(text);
    if (info && info->mount) {
      learn(*info->mount, {major(status.st_dev) << 20 | minor(status.st_dev), true,
                           flags == 0 ? uint32_t{TMPFS_MAGIC} : uint32_t{HUGETLBFS_MAGIC}});
    }
  }
}

void MountTable::learn(int id, const Mount& mount) {
  const std::lock_guard guard(lock_);
  by_id_.insert_or_assign(id, mount);
  by_device_.try_emplace(mount.device, mount);
}

void MountTable::load(int pid, uint32_t mnt_ns) {
  char path[32];
  std::snprintf(path, sizeof path, "%d/mountinfo", pid);
  std::string text;
  if (!root_.read(path, text)) {
    return;
  }
  std::string_view rest = text;
  while (!rest.empty()) {
    const auto line = parse_mountinfo_line(next_line(rest));
    if (!line) {
      continue;
    }
    const FilesystemType type = filesystem_type(line->type);
    const Mount mount = {line->device, type.local, type.magic};
    by_id_.insert_or_assign(line->id, mount);
    by_device_.try_emplace(line->device, mount);
    if (line->type == "devpts" && line->point.ends_with("/pts")) {
      devpts_[mnt_ns] = line->device;  // the last one covers those before it
    }
  }
}

bool MountTable::load_once(int pid, uint32_t mnt_ns) {
  int& count = loaded_[mnt_ns];
  if (count >= processes_per_namespace || !loaded_pids_.insert(pid).second) {
    return false;
  }
  count++;
  load(pid, mnt_ns);
  return true;
}

std::optional<Mount> MountTable::find(int id, int pid, uint32_t mnt_ns) {
  const std::lock_guard guard(lock_);
  do {
    if (const auto found = by_id_.find(id); found != by_id_.end()) {
      return found->second;
    }
  } while (load_once(pid, mnt_ns));
  return std::nullopt;
}

std::optional<uint32_t> MountTable::devpts(int pid, uint32_t mnt_ns) {
  const std::lock_guard guard(lock_);
  do {
    if (const auto found = devpts_.find(mnt_ns); found != devpts_.end()) {
      return found->second;
    }
  } while (load_once(pid, mnt_ns));
  return std::nullopt;
}

std::optional<Mount> MountTable::by_device(uint32_t device, int pid, uint32_t mnt_ns) {
  const std::lock_guard guard(lock_);
  do {
    if (const auto found = by_device_.find(device); found != by_device_.end()) {
      return found->second;
    }
  } while (load_once(pid, mnt_ns));
  return std::nullopt;
}

}  // namespace ipcscope
