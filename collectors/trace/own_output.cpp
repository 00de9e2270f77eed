// SPDX-License-Identifier: GPL-2.0-or-later
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <set>
#include <unordered_map>

#include "collectors/base/parse.h"
#include "collectors/name_spaces.h"
#include "collectors/trace/probe.h"

namespace ipcscope {

namespace {

constexpr unsigned pty_slaves = 136;  // major numbers, include/uapi/linux/major.h
constexpr unsigned pty_slaves_end = 144;

uint64_t make_key(int kind, uint64_t number) {
  return (static_cast<uint64_t>(kind) + 1) << 56 | (number & 0xffffffffffffff);
}

std::optional<uint32_t> pty_index(dev_t device) {
  const unsigned number = major(device);
  if (number < pty_slaves || number >= pty_slaves_end) {
    return std::nullopt;
  }
  return (number - pty_slaves) * 256 + minor(device);
}

/// The device of ipcscope's controlling terminal; 0: none.
dev_t controlling_terminal(const ProcRoot& proc) {
  const Result<std::string> stat = proc.read("self/stat");
  if (!stat) {
    return 0;
  }
  std::string_view left = *stat;
  left.remove_prefix(std::min(left.size(), left.rfind(')') + 4));  // ") S "
  for (int skip = 0; skip < 3; skip++) {                           // ppid pgrp session
    (void)next_number<int64_t>(left);
  }
  const auto number = next_number<int64_t>(left);
  // The kernel's own encoding, new_encode_dev() in include/linux/kdev_t.h.
  const auto value = static_cast<uint32_t>(number.value_or(0));
  return makedev((value >> 8) & 0xfff, (value & 0xff) | ((value >> 12) & 0xfff00));
}

/// What a descriptor's link says of what can be passed on through it: "pipe:[4455]", "/dev/pts/3".
/// Of a terminal's other side: "/dev/pts/3", too, from fdinfo.
std::string passage(const ProcRoot& proc, pid_t pid, int fd, bool& reads) {
  const std::string link = fmt::format("{}/fd/{}", pid, fd);
  std::string target = proc.link(link.c_str()).value_or(std::string());
  reads = false;
  if (target.starts_with("pipe:[")) {
    struct stat status {};
    // The permission bits of the link itself are those of the open file.
    reads = ::fstatat(proc.descriptor(), link.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
            (status.st_mode & S_IRUSR) != 0;
    return target;
  }
  if (target == "/dev/ptmx" || target == "/dev/pts/ptmx") {
    const std::string info =
        proc.read(fmt::format("{}/fdinfo/{}", pid, fd)).value_or(std::string());
    const size_t at = info.find("tty-index:");
    if (at != std::string::npos) {
      std::string_view rest = std::string_view(info).substr(at + 10);
      rest.remove_prefix(std::min(rest.find_first_not_of(" \t"), rest.size()));
      reads = true;
      return fmt::format("/dev/pts/{}", next_number<int>(rest).value_or(0));
    }
  }
  return target.starts_with("/dev/pts/") ? target : std::string();
}

}  // namespace

std::vector<uint64_t> output_channels(const ProcRoot& proc) {
  std::vector<uint64_t> keys;
  for (const int fd : {STDOUT_FILENO, STDERR_FILENO}) {
    struct stat status {};
    if (::fstat(fd, &status) != 0) {
      continue;
    }
    if (S_ISFIFO(status.st_mode)) {
      keys.push_back(make_key(TRACE_PIPE, status.st_ino));
      keys.push_back(
          make_key(TRACE_FIFO, status.st_ino ^ uint64_t{record_device(status.st_dev)} << 36));
    } else if (S_ISSOCK(status.st_mode)) {
      keys.push_back(make_key(TRACE_UNIX, status.st_ino));
      keys.push_back(make_key(TRACE_TCP, status.st_ino));
    } else if (S_ISCHR(status.st_mode)) {
      if (const auto index = pty_index(status.st_rdev)) {
        keys.push_back(make_key(TRACE_PTY, *index));
      }
    }
  }
  if (const auto index = pty_index(controlling_terminal(proc))) {
    keys.push_back(make_key(TRACE_PTY, *index));
  }
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  return keys;
}

std::vector<pid_t> output_readers(const ProcRoot& proc) {
  constexpr auto longest = std::chrono::milliseconds(200);
  const auto end = std::chrono::steady_clock::now() + longest;
  const pid_t self = ::getpid();
  std::vector<std::string> open;
  std::set<std::string> known;
  const auto follow = [&](pid_t pid) {
    for (const int fd : {STDOUT_FILENO, STDERR_FILENO}) {
      bool reads = false;
      std::string to = passage(proc, pid, fd, reads);
      if (!to.empty() && known.insert(to).second) {
        open.push_back(std::move(to));
      }
    }
  };
  follow(self);
  if (open.empty()) {
    return {};
  }
  std::unordered_map<std::string, std::vector<pid_t>> readers;
  for (const pid_t pid : proc.numbers(".").value_or(std::vector<int>())) {
    if (pid == self || std::chrono::steady_clock::now() > end) {
      continue;
    }
    for (const int fd :
         proc.numbers(fmt::format("{}/fd", pid).c_str()).value_or(std::vector<int>())) {
      bool reads = false;
      const std::string to = passage(proc, pid, fd, reads);
      if (reads) {
        readers[to].push_back(pid);
      }
    }
  }
  std::vector<pid_t> found;
  while (!open.empty()) {
    const std::string at = std::move(open.back());
    open.pop_back();
    for (const pid_t pid : readers[at]) {
      if (std::find(found.begin(), found.end(), pid) == found.end()) {
        found.push_back(pid);
        follow(pid);
      }
    }
  }
  return found;
}

}  // namespace ipcscope
