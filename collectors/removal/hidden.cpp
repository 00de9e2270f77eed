// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/removal/hidden.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/membarrier.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "collectors/name_spaces.h"

namespace ipcscope {

namespace {

std::string hidden_name(uint64_t inode) { return fmt::format(".ipcscope-removed-{}", inode); }

}  // namespace

bool rename_to_free(const Place& place, const char* from, const char* to) {
  const int directory = place.directory.get();
  if (::renameat2(directory, from, directory, to, RENAME_NOREPLACE) == 0) {
    return true;
  }
  if (errno != EINVAL && errno != ENOSYS) {
    return false;
  }
  // A file system without that: a second name, then one less.
  return ::linkat(directory, from, directory, to, 0) == 0 && ::unlinkat(directory, from, 0) == 0;
}

Refusal hide_name(const Place& place, const struct stat& expected) {
  const int directory = place.directory.get();
  const std::string hidden = hidden_name(expected.st_ino);
  if (!rename_to_free(place, place.name.c_str(), hidden.c_str())) {
    return errno == ENOENT ? skipped(gone_already) : failed(std::generic_category().message(errno));
  }
  struct stat now {};
  if (::fstatat(directory, hidden.c_str(), &now, AT_SYMLINK_NOFOLLOW) != 0) {
    return failed(std::generic_category().message(errno));
  }
  if (now.st_ino != expected.st_ino || now.st_dev != expected.st_dev) {
    rename_to_free(place, hidden.c_str(), place.name.c_str());
    return skipped("its name belongs to another file now");
  }
  return {};
}

Outcome finish_hidden(const Place& place, const struct stat& expected, const Refusal& reason) {
  const std::string hidden = hidden_name(expected.st_ino);
  if (reason && rename_to_free(place, hidden.c_str(), place.name.c_str())) {
    return *reason;
  }
  // When its name was taken in that instant, nobody will find it any more.
  if (::unlinkat(place.directory.get(), hidden.c_str(), 0) != 0) {
    return failed(std::generic_category().message(errno));
  }
  return removed(reason ? reason->reason + ", and another took its name in the same instant" : "");
}

void wait_for_openers() {
  // They are in the kernel without going to sleep. Waiting for every CPU to leave what it is at
  // (synchronize_rcu) is what this call is in Linux kernel/sched/membarrier.c.
  if (::syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) != 0) {
    ::usleep(1000);
  }
}

bool give_name_back(const Place& place, uint64_t inode, uint32_t device) {
  const std::string hidden = hidden_name(inode);
  struct stat now {};
  return ::fstatat(place.directory.get(), hidden.c_str(), &now, AT_SYMLINK_NOFOLLOW) == 0 &&
         now.st_ino == inode && record_device(now.st_dev) == device &&
         rename_to_free(place, hidden.c_str(), place.name.c_str());
}

Target file_facts(const Target& judged, const struct stat& status) {
  Target now;
  now.type = judged.type;
  now.uid = status.st_uid;
  now.gid = status.st_gid;
  now.mode = status.st_mode & 07777;
  now.inode = status.st_ino;
  now.device = record_device(status.st_dev);
  return now;
}

}  // namespace ipcscope
