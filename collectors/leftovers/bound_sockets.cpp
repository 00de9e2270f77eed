// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/leftovers/bound_sockets.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <linux/netlink.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>

#include "collectors/base/own_thread.h"
#include "collectors/base/parse.h"
#include "collectors/name_spaces.h"
#include "collectors/proc/net_tables.h"
#include "collectors/proc/sock_diag.h"

namespace ipcscope {

namespace {

uint64_t file_key(uint32_t device, uint64_t inode) {
  return uint64_t{device} << 32 | static_cast<uint32_t>(inode);
}

std::string last_component(std::string_view path) {
  return std::string(path.substr(path.rfind('/') + 1));
}

Fd diag_socket() { return Fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG)); }

/// A network namespace to enter, and a process in it where there is one.
struct Door {
  Fd file;
  std::string owner;  ///< directory of /proc
};

/// A bind mount of a namespace: its file system is the kernel's own, so opening it never waits.
Fd open_bound(const std::string& path, uint32_t& inode) {
  Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  struct stat status {};
  struct statfs system {};
  if (!file || ::fstatfs(file.get(), &system) != 0 || system.f_type != NSFS_MAGIC ||
      ::fstat(file.get(), &status) != 0) {
    return {};
  }
  inode = static_cast<uint32_t>(status.st_ino);
  return file;
}

}  // namespace

void BoundSockets::add(uint64_t socket, std::string_view name,
                       std::optional<std::pair<uint32_t, uint32_t>> file) {
  if (file) {
    sockets_.insert(socket);
    files_.insert(file_key(file->first, file->second));
    inodes_.insert(file->second);
  }
  if (name.empty() || name.front() == '\0' || name.front() == '@') {
    return;
  }
  names_.emplace(name);
  last_names_.insert(last_component(name));
  if (!file && sockets_.count(socket) == 0) {
    unlocated_.insert(last_component(name));
  }
}

void BoundSockets::dump(int netlink, const ProcRoot& proc, const std::string& owner) {
  DiagRequest request;
  request.family = AF_UNIX;
  request.files = true;
  const Result<void> done = dump_sockets(netlink, request, [&](std::span<const std::byte> payload) {
    const auto answer = parse_unix_diag(payload);
    if (!answer) {
      return;
    }
    std::optional<std::pair<uint32_t, uint32_t>> file;
    if (answer->file) {
      file = {answer->file->device, answer->file->inode};
    }
    add(answer->facts.inode, {answer->facts.name, answer->facts.name_length}, file);
  });
  if (!done) {
    reason_ = done.error().text();
    add_table(proc, owner, true);
  }
}

/// /proc/PID/net/unix tells names, which are as good as the directory and the mount namespace of
/// who bound them. names_only: the kernel told no files.
void BoundSockets::add_table(const ProcRoot& proc, const std::string& owner, bool names_only) {
  complete_ = complete_ && !names_only;
  const Result<std::string> text =
      owner.empty() ? Result<std::string>(failure("no process")) : proc.read(owner + "/net/unix");
  if (!text) {
    const int number = text.error().code.value();
    complete_ = complete_ && (number == ENOENT || number == ESRCH);  // its process has ended
    return;
  }
  std::string_view rest = *text;
  while (!rest.empty()) {
    const auto facts = parse_net_unix(next_line(rest));
    if (facts && facts->name_length > 0) {
      add(facts->inode, {facts->name, facts->name_length}, std::nullopt);
    }
  }
}

void BoundSockets::load(const Snapshot& snapshot, const ProcRoot& proc,
                        const std::vector<std::string>& paths, const std::vector<int>& unseen,
                        std::vector<Coverage>& coverage) {
  const uint32_t own = proc.namespace_id(::getpid(), "net").value_or(0);
  std::vector<Door> doors;
  std::vector<uint32_t> entered{own};
  const auto fail = [&](std::string why) {
    unreadable_++;
    complete_ = false;
    if (reason_.empty()) {
      reason_ = std::move(why);
    }
  };
  for (const NameSpace& other : other_name_spaces(snapshot, &Process::net_ns, own)) {
    const std::string owner = std::to_string(other.pids.front());
    if (Result<Fd> door = open_name_space(proc, other, "net")) {
      doors.push_back({std::move(*door), owner});
      entered.push_back(other.inode);
    } else {
      fail(door.error().text());
      add_table(proc, owner, true);
    }
  }
  for (const std::string& path : paths) {
    uint32_t inode = 0;
    Fd file = open_bound(path, inode);
    if (!file) {
      fail(fmt::format("network namespace at {}", path));
    } else if (std::find(entered.begin(), entered.end(), inode) == entered.end()) {
      entered.push_back(inode);
      doors.push_back({std::move(file), ""});
    }
  }

  name_spaces_ = 1;
  if (const Fd netlink = diag_socket()) {
    dump(netlink.get(), proc, "self");
  } else {
    fail("sock_diag: " + std::generic_category().message(errno));
    add_table(proc, "self", true);
  }
  // The sockets stay in their namespaces.
  std::vector<Fd> sockets(doors.size());
  std::vector<int> errors(doors.size(), 0);
  if (!doors.empty()) {
    run_in_own_thread([&] {
      for (size_t i = 0; i < doors.size(); i++) {
        if (::setns(doors[i].file.get(), CLONE_NEWNET) == 0) {
          sockets[i] = diag_socket();
        }
        errors[i] = sockets[i] ? 0 : errno;
      }
    });
  }
  for (size_t i = 0; i < doors.size(); i++) {
    if (sockets[i]) {
      name_spaces_++;
      dump(sockets[i].get(), proc, doors[i].owner);
    } else {
      fail("network namespace: " + std::generic_category().message(errors[i]));
      add_table(proc, doors[i].owner, true);
    }
  }
  // Where a process hides its namespace, its table still tells whether there is a name in it that
  // the others have not told. Each namespace has one such file (unix_net_init() in
  // net/unix/af_unix.c), whose inode number is the same through all of its processes.
  std::unordered_set<uint64_t> tables;
  const auto is_new_table = [&](const std::string& owner) {
    struct stat status {};
    return ::fstatat(proc.descriptor(), (owner + "/net/unix").c_str(), &status, 0) != 0 ||
           tables.insert(status.st_ino).second;
  };
  (void)is_new_table("self");
  for (const Door& door : doors) {
    (void)(door.owner.empty() || is_new_table(door.owner));
  }
  const auto look_into = [&](int pid) {
    if (const std::string owner = std::to_string(pid); is_new_table(owner)) {
      add_table(proc, owner, false);
    }
  };
  std::for_each(unseen.begin(), unseen.end(), look_into);
  for (const Process& process : snapshot.processes) {
    if (process.net_ns == 0 && process.mm != 0) {
      look_into(process.pid);
    }
  }
  // A socket stays in the namespace that it was made in, which may have no process any more.
  for (const Channel& channel : snapshot.channels) {
    if (channel.kind != Kind::unix_socket || channel.name.empty()) {
      continue;
    }
    const auto ends = snapshot.endpoints_of(channel);
    const bool located = std::any_of(ends.begin(), ends.end(), [&](const Endpoint& end) {
      return sockets_.count(end.inode) != 0;
    });
    if (!located) {
      add(UINT64_MAX, channel.name, std::nullopt);
    }
  }
  Coverage seen;
  seen.source = "bound-sockets";
  seen.checked = name_spaces_;
  seen.unreadable = unreadable_;
  if (!complete_) {
    seen.state = Coverage::State::partial;
    seen.reason = "the sockets of a network namespace are not known with their files: " +
                  (reason_.empty() ? std::string("its table cannot be read") : reason_);
    seen.hint = "run as root (CAP_SYS_ADMIN), with the kernel module unix_diag";
  }
  coverage.push_back(std::move(seen));
}

std::optional<bool> BoundSockets::is_bound(std::string_view path, uint32_t device, uint64_t inode,
                                           bool odd_numbers) const {
  if (files_.count(file_key(device, inode)) != 0) {
    return true;
  }
  const std::string last = last_component(path);
  if (odd_numbers || !complete_) {
    if (names_.count(std::string(path)) != 0 ||
        (odd_numbers && inodes_.count(static_cast<uint32_t>(inode)) != 0)) {
      return true;
    }
    return !complete_ || last_names_.count(last) != 0 ? std::nullopt : std::optional<bool>(false);
  }
  return unlocated_.count(last) != 0 ? std::nullopt : std::optional<bool>(false);
}

}  // namespace ipcscope
