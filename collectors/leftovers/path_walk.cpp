// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/leftovers/path_walk.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <memory>

#include "collectors/base/parse.h"
#include "collectors/leftovers/lock_file.h"
#include "collectors/name_spaces.h"
#include "collectors/shm_directory.h"

namespace ipcscope {

namespace {

/// Where FHS 3.0 wants what programs leave while they run; /var/lock and /var/run are symbolic
/// links into /run on most systems, and then not followed.
constexpr std::string_view starting_points[] = {"/run",      "/tmp",     "/var/tmp",
                                                "/var/lock", "/var/run", "/var/lib"};

/// Images and layers of containers. What is in use of them is seen through the containers' own
/// mounts; here the same files have other inode numbers than those that sockets are bound to, and
/// would all look left behind.
constexpr std::string_view container_stores[] = {
    "/var/lib/containerd", "/var/lib/containers", "/var/lib/docker",   "/var/lib/incus",
    "/var/lib/lxc",        "/var/lib/lxd",        "/var/lib/machines",
};

template <size_t size>
bool is_one_of(std::string_view path, const std::string_view (&list)[size]) {
  return std::find(std::begin(list), std::end(list), path) != std::end(list);
}

/// Without a change of the access time where that is allowed.
Fd open_quietly(int directory, const char* name, int flags) {
  Fd file(::openat(directory, name, flags | O_NOATIME));
  if (!file && errno == EPERM) {
    file.reset(::openat(directory, name, flags));
  }
  return file;
}

constexpr int read_directory = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

/// The process that a lock file names; 0 when it cannot be read or names none.
int32_t read_lock_pid(int directory, const char* name, const struct stat& expected) {
  const Fd file =
      open_quietly(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  struct stat status {};
  if (!file || ::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode) ||
      status.st_ino != expected.st_ino) {
    return 0;
  }
  char text[lock_file_bytes];
  const ssize_t got = ::pread(file.get(), text, sizeof text, 0);
  return got > 0 ? parse_lock_pid({text, static_cast<size_t>(got)}) : 0;
}

}  // namespace

Fd step_down(const Fd& root, std::string_view path) {
  Fd at(::openat(root.get(), ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
  for (std::string_view name = next_word(path, "/"); at && !name.empty();
       name = next_word(path, "/")) {
    at.reset(::openat(at.get(), std::string(name).c_str(),
                      O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  }
  return at;
}

void PathWalk::fail(const std::string& why) {
  unreadable_++;
  reason_ = reason_.empty() ? why : reason_;
}

void PathWalk::walk(const Fd& root, const MountPoints& mounts, uint32_t name_space) {
  for (const std::string_view start : starting_points) {
    const std::string path(start);
    const MountPoints::Mount* mount = mounts.holder(path, name_space == 0);
    if (mount == nullptr) {
      continue;
    }
    const Fd place = step_down(root, start);
    if (!place) {
      continue;  // there is none, or it is a link
    }
    enter(open_quietly(place.get(), ".", read_directory), {path, name_space, 0, mounts, *mount});
  }
}

void PathWalk::enter(const Fd& directory, const Place& place) {
  struct stat status {};
  if (!directory || ::fstat(directory.get(), &status) != 0) {
    if (errno != ENOENT) {
      fail(fmt::format("{}: {}", place.path, std::generic_category().message(errno)));
    }
    return;
  }
  if (!visited_.emplace(status.st_dev, status.st_ino).second) {
    return;
  }
  const int copy = ::openat(directory.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(copy >= 0 ? ::fdopendir(copy) : nullptr,
                                                   ::closedir);
  while (const dirent* entry = stream ? ::readdir(stream.get()) : nullptr) {
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") {
      continue;
    }
    if (entries_ >= limits_.entries) {
      cut_off_++;
      return;
    }
    entries_++;
    visit(directory.get(), place, entry->d_name, entry->d_type);
  }
}

void PathWalk::visit(int directory, const Place& place, const char* name, unsigned char type) {
  if (type == DT_UNKNOWN) {
    struct stat status {};
    if (::fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) != 0) {
      return;
    }
    type = IFTODT(status.st_mode);
  }
  switch (type) {
    case DT_SOCK:
      add(directory, place, name, PathFact::Type::socket);
      return;
    case DT_FIFO:
      add(directory, place, name, PathFact::Type::fifo);
      return;
    case DT_REG:
      if (is_lock_file_name(name)) {
        add(directory, place, name, PathFact::Type::lock_file);
      }
      return;
    case DT_DIR:
      break;
    default:
      return;
  }
  Place below{fmt::format("{}/{}", place.path, name), place.name_space, place.depth + 1,
              place.mounts, place.mount};
  if (is_one_of(below.path, container_stores)) {
    return;
  }
  // Another file system is only entered when it is known to be local.
  if (const MountPoints::Mount* mount = place.mounts.at(below.path)) {
    if (!mount->local) {
      return;
    }
    below.mount = *mount;
  }
  if (below.depth > limits_.depth) {
    too_deep_++;
    return;
  }
  enter(open_quietly(directory, name, read_directory), below);
}

void PathWalk::add(int directory, const Place& place, const char* name, PathFact::Type type) {
  constexpr mode_t formats[] = {S_IFSOCK, S_IFIFO, S_IFREG};
  struct stat status {};
  if (::fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) != 0 ||
      (status.st_mode & S_IFMT) != formats[static_cast<size_t>(type)]) {
    return;
  }
  FoundPath found;
  PathFact& fact = found.fact;
  if (type == PathFact::Type::lock_file) {
    fact.pid = read_lock_pid(directory, name, status);
    if (fact.pid == 0) {
      return;  // says nothing about anybody
    }
  }
  fact.type = type;
  fact.path = fmt::format("{}/{}", place.path, name);
  fact.name_space = place.name_space;
  fact.device = record_device(status.st_dev);
  fact.inode = status.st_ino;
  fact.uid = status.st_uid;
  fact.mode = status.st_mode;
  fact.change_time = last_change(status);
  found.odd_numbers = place.mount.odd_numbers;
  found_.push_back(std::move(found));
}

Coverage PathWalk::coverage() const {
  Coverage seen;
  seen.source = "paths";
  seen.checked = entries_;
  seen.unreadable = unreadable_;
  seen.lost = cut_off_;
  std::vector<std::string> reasons;
  if (cut_off_ > 0) {
    reasons.push_back(fmt::format("only {} directory entries are looked at", limits_.entries));
  }
  if (unreadable_ > 0) {
    reasons.push_back(fmt::format("{} director{} could not be read: {}", unreadable_,
                                  unreadable_ == 1 ? "y" : "ies", reason_));
    seen.hint = "run as root (CAP_DAC_READ_SEARCH)";
  }
  if (!reasons.empty()) {
    seen.state = Coverage::State::partial;
  }
  // How deep it looks is what it promises, and no gap in it.
  if (too_deep_ > 0) {
    reasons.push_back(fmt::format("{} director{} below {} levels {} not searched", too_deep_,
                                  too_deep_ == 1 ? "y" : "ies", limits_.depth,
                                  too_deep_ == 1 ? "is" : "are"));
  }
  seen.reason = fmt::format("{}", fmt::join(reasons, "; "));
  return seen;
}

}  // namespace ipcscope
