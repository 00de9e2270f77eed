// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/removal/places.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "collectors/base/parse.h"
#include "collectors/name_spaces.h"

namespace ipcscope {

namespace {

/// A directory below a root, as somebody who lives in that root sees it.
Fd open_below(const Fd& root, const std::string& path) {
  constexpr uint64_t flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
  const open_how how{flags, 0, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
  const long file = ::syscall(SYS_openat2, root.get(), path.c_str(), &how, sizeof how);
  if (file >= 0 || errno != ENOSYS) {
    return Fd(static_cast<int>(file));
  }
  // Before Linux 5.6: step by step, without symbolic links.
  Fd at(::openat(root.get(), ".", static_cast<int>(flags)));
  std::string_view left = path;
  for (std::string_view name = next_word(left, "/"); at && !name.empty();
       name = next_word(left, "/")) {
    at.reset(name == ".." ? -1
                          : ::openat(at.get(), std::string(name).c_str(),
                                     static_cast<int>(flags) | O_NOFOLLOW));
  }
  return at;
}

}  // namespace

Result<Place> open_place(const Target& target, const ProcRoot& proc) {
  const size_t slash = target.path.rfind('/');
  if (slash == std::string::npos || slash + 1 == target.path.size()) {
    return failure(target.path + " is not a full path");
  }
  const std::string directory = target.path.substr(0, slash + 1);
  Place place{Fd(), target.path.substr(slash + 1)};
  if (target.name_space == 0) {
    place.directory.reset(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    return place.directory ? Result<Place>(std::move(place)) : system_failure(directory);
  }
  int number = ESRCH;
  for (const int pid : target.pids) {
    const Fd root(::openat(proc.descriptor(), fmt::format("{}/root", pid).c_str(),
                           O_PATH | O_DIRECTORY | O_CLOEXEC));
    // Asked after the root was opened: the number may belong to another process by now.
    if (!root || proc.namespace_id(pid, "mnt") != target.name_space) {
      number = root ? number : errno;
      continue;
    }
    place.directory = open_below(root, directory);
    if (place.directory) {
      return place;
    }
    number = errno;
  }
  return system_failure(fmt::format("mnt:[{}]", target.name_space), number);
}

Result<void> enter_ipc(uint32_t name_space, const std::vector<int>& pids, const ProcRoot& proc) {
  const Result<Fd> file = open_name_space(proc, {name_space, pids}, "ipc");
  if (!file) {
    return Failure(file.error());
  }
  if (::setns(file->get(), CLONE_NEWIPC) != 0) {
    return system_failure(fmt::format("namespace ipc:[{}]", name_space));
  }
  return {};
}

std::vector<int> inhabitants(uint32_t name_space, const char* kind, const ProcRoot& proc) {
  std::vector<int> found;
  const Result<std::vector<int>> pids = proc.numbers(".");
  for (const int pid : pids ? *pids : std::vector<int>()) {
    if (proc.namespace_id(pid, kind) == name_space) {
      found.push_back(pid);
    }
  }
  return found;
}

const char* name_space_kind(Target::Type type) {
  switch (type) {
    case Target::Type::posixshm:
    case Target::Type::posixsem:
    case Target::Type::socket:
      return "mnt";
    default:
      return "ipc";
  }
}

uint32_t own_name_space(Target::Type type) {
  struct stat status {};
  const std::string path = fmt::format("/proc/self/ns/{}", name_space_kind(type));
  return ::stat(path.c_str(), &status) == 0 ? static_cast<uint32_t>(status.st_ino) : 0;
}

}  // namespace ipcscope
