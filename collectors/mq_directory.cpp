// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/mq_directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <mqueue.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "collectors/base/fd.h"
#include "collectors/base/parse.h"
#include "collectors/name_spaces.h"
#include "collectors/shm_directory.h"

#ifndef FSCONFIG_CMD_CREATE
#define FSCONFIG_CMD_CREATE 6
#endif

namespace ipcscope {

namespace {

constexpr int open_directory = O_RDONLY | O_DIRECTORY | O_CLOEXEC;

/// For kernels before 5.2. Any directory will do to mount on, in a namespace that ends with us.
Fd private_mount() {
  constexpr const char* place = "/proc";
  if (::unshare(CLONE_NEWNS) != 0 ||
      ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      ::mount("mqueue", place, "mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0) {
    return {};
  }
  return Fd(::open(place, open_directory));
}

Fd dev_mqueue() {
  Fd directory(::open("/dev/mqueue", open_directory));
  struct statfs status {};
  if (directory && ::fstatfs(directory.get(), &status) == 0 && status.f_type == mqueue_magic) {
    return directory;
  }
  errno = EPERM;
  return {};
}

QueueEntry describe(int directory, const char* name, const struct stat& status) {
  QueueEntry entry;
  entry.name = name;
  entry.gid = status.st_gid;
  // Not the time of the inode's change, which reading the file sets too (Linux ipc/mqueue.c,
  // mqueue_read_file).
  entry.change_time = status.st_mtim.tv_sec;
  mq_record& facts = entry.facts;
  facts.file.head.kind = RECORD_MQ;
  facts.file.head.size = sizeof facts;
  facts.file.fd = -1;
  facts.file.inode = status.st_ino;
  facts.file.device = record_device(status.st_dev);
  facts.file.mode = status.st_mode;
  facts.file.uid = status.st_uid;
  facts.links = static_cast<u32>(status.st_nlink);
  facts.messages = facts.messages_max = facts.message_bytes_max = facts.bytes = UNKNOWN_U64;
  facts.notify_pid = facts.notify_signal = UNKNOWN_U32;
  facts.waiting_senders = facts.waiting_receivers = UNKNOWN_U32;
  // Opening a queue for reading does nothing to it, and we are not the one who asked for a
  // notification, so neither does closing it.
  const Fd queue(::openat(directory, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC));
  if (!queue) {
    return entry;
  }
  char text[128];
  const ssize_t got = ::pread(queue.get(), text, sizeof text, 0);
  if (got > 0) {
    parse_queue_file({text, static_cast<size_t>(got)}, facts);
  }
  mq_attr attributes{};
  if (::mq_getattr(queue.get(), &attributes) == 0) {
    facts.messages = static_cast<u64>(attributes.mq_curmsgs);
    facts.messages_max = static_cast<u64>(attributes.mq_maxmsg);
    facts.message_bytes_max = static_cast<u64>(attributes.mq_msgsize);
  }
  return entry;
}

}  // namespace

Fd detached_mqueue() {
  const Fd context(static_cast<int>(::syscall(SYS_fsopen, "mqueue", FSOPEN_CLOEXEC)));
  if (!context ||
      ::syscall(SYS_fsconfig, context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
    return {};
  }
  const Fd mount(static_cast<int>(::syscall(SYS_fsmount, context.get(), FSMOUNT_CLOEXEC, 0)));
  return mount ? Fd(::openat(mount.get(), ".", open_directory)) : Fd();
}

bool parse_queue_file(std::string_view text, mq_record& facts) {
  const auto field = [&text](std::string_view key) -> std::optional<uint64_t> {
    const std::string_view word = next_word(text);
    if (!word.starts_with(key)) {
      return std::nullopt;
    }
    return parse_number<uint64_t>(word.substr(key.size()));
  };
  const auto bytes = field("QSIZE:");
  const auto how = field("NOTIFY:");
  const auto signal = field("SIGNO:");
  const auto pid = field("NOTIFY_PID:");
  if (!bytes || !how || !signal || !pid) {
    return false;
  }
  facts.bytes = *bytes;
  facts.notify_pid = static_cast<u32>(*pid);
  facts.notify_signal = static_cast<u32>(*signal);
  return true;
}

Fd open_mqueue(bool own_thread, bool use_dev_mqueue) {
  Fd directory = detached_mqueue();
  if (!directory && own_thread) {
    directory = private_mount();
  }
  if (!directory && use_dev_mqueue) {
    directory = dev_mqueue();
  }
  return directory;
}

QueueList list_queues(bool own_thread, bool use_dev_mqueue) {
  QueueList list;
  const Fd directory = open_mqueue(own_thread, use_dev_mqueue);
  struct stat status {};
  if (!directory || ::fstat(directory.get(), &status) != 0) {
    list.error = errno != 0 ? errno : EPERM;
    return list;
  }
  list.device = record_device(status.st_dev);
  const int copy = ::openat(directory.get(), ".", open_directory);
  const std::unique_ptr<DIR, int (*)(DIR*)> names(copy >= 0 ? ::fdopendir(copy) : nullptr,
                                                  ::closedir);
  while (const dirent* each = names ? ::readdir(names.get()) : nullptr) {
    if (::fstatat(directory.get(), each->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISREG(status.st_mode)) {
      list.queues.push_back(describe(directory.get(), each->d_name, status));
    }
  }
  return list;
}

}  // namespace ipcscope
