// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/leftovers/path_facts.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "collectors/name_spaces.h"

namespace ipcscope {

namespace {

/// The files of every mount namespace, ipcscope's own first.
void walk_all(const Snapshot& snapshot, const ProcRoot& proc, PathWalk& walk,
              std::vector<std::string>& networks) {
  const uint32_t own = proc.namespace_id(::getpid(), "mnt").value_or(0);
  const auto go = [&](const std::string& owner, uint32_t name_space) -> Result<void> {
    const Result<std::string> text = proc.read(owner + "/mountinfo");
    if (!text) {
      return Failure(text.error());
    }
    const MountPoints mounts(*text);
    const MountPoints::Mount* top = mounts.at("/");
    if (name_space != 0 && (top == nullptr || !top->local)) {
      return failure("the root of a mount namespace may be remote");
    }
    const Fd root(
        ::openat(proc.descriptor(), (owner + "/root").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!root) {
      return system_failure(owner + "/root");
    }
    if (name_space == 0) {
      networks = mounts.network_name_spaces();
    }
    walk.walk(root, mounts, name_space);
    return {};
  };
  if (const Result<void> done = go("self", 0); !done) {
    walk.fail(done.error().text());
  }
  for (const NameSpace& other : other_name_spaces(snapshot, &Process::mnt_ns, own)) {
    // A kernel thread has one for itself, the root of devtmpfs (devtmpfsd,
    // drivers/base/devtmpfs.c).
    const bool has_programs = std::any_of(other.pids.begin(), other.pids.end(), [&](int pid) {
      const Process* process = snapshot.process(pid);
      return process != nullptr && process->mm != 0;
    });
    Result<void> done;
    for (const int pid : has_programs ? other.pids : std::vector<int>()) {
      done = go(std::to_string(pid), other.inode);
      if (done) {
        break;
      }
    }
    if (!done) {
      walk.fail(done.error().text());
    }
  }
}

}  // namespace

UsedFiles::UsedFiles(const Snapshot& snapshot) {
  for (const Channel& channel : snapshot.channels) {
    const bool is_fifo = channel.kind == Kind::fifo;
    if (!is_fifo && channel.kind != Kind::flock && channel.kind != Kind::fcntl &&
        channel.kind != Kind::ofd) {
      continue;
    }
    const Attribute* inode = snapshot.attribute(channel, "inode");
    if (inode == nullptr || inode->type != Attribute::Type::natural) {
      if (is_fifo && channel.wait_count != 0) {
        awaited_.emplace(channel.name);
      }
      continue;
    }
    const Attribute* device = snapshot.attribute(channel, "device");
    (is_fifo ? fifos_ : locked_)
        .emplace(inode->natural, device == nullptr ? "" : std::string(device->string()));
  }
}

bool UsedFiles::has_fifo(const PathFact& fact) const {
  return fifos_.contains(fact.inode) || awaited_.contains(fact.path);
}

bool UsedFiles::has_lock(const PathFact& fact, bool any_device) const {
  const auto [begin, end] = locked_.equal_range(fact.inode);
  return std::any_of(begin, end, [&](const auto& each) {
    return any_device || each.second == device_text(fact.device);
  });
}

int32_t outer_pid(const Snapshot& snapshot, uint32_t mnt_ns, uint32_t own_pid_ns, int32_t pid) {
  bool is_numbered_as_here = false;
  for (const Process& process : snapshot.processes) {
    if (process.mnt_ns != mnt_ns) {
      continue;
    }
    if (process.pid_ns == own_pid_ns) {
      is_numbered_as_here = true;
    } else if (process.ns_pid == pid) {
      return process.pid;
    }
  }
  return is_numbered_as_here ? pid : 0;
}

std::optional<bool> is_path_used(const FoundPath& found, const UsedFiles& files,
                                 const Leftovers& leftovers, const BoundSockets& sockets,
                                 const LockTable* locks) {
  const PathFact& fact = found.fact;
  switch (fact.type) {
    case PathFact::Type::socket:
      if (const auto bound =
              sockets.is_bound(fact.path, fact.device, fact.inode, found.odd_numbers)) {
        // Outside there may be network namespaces that nobody here knows of.
        return *bound || !leftovers.processes_outside ? bound : std::nullopt;
      }
      return std::nullopt;
    case PathFact::Type::fifo:
      if (files.has_fifo(fact)) {
        return true;
      }
      return leftovers.unseen.empty() && !leftovers.processes_outside ? std::optional<bool>(false)
                                                                      : std::nullopt;
    case PathFact::Type::lock_file:
      break;
  }
  if (files.has_lock(fact, found.odd_numbers)) {
    return true;
  }
  if (locks == nullptr) {
    return std::nullopt;
  }
  const bool named = locks->names(fact.device, fact.inode) ||
                     (found.odd_numbers && std::any_of(locks->all().begin(), locks->all().end(),
                                                       [&](const LockTable::Held& held) {
                                                         return held.line.inode == fact.inode;
                                                       }));
  if (named) {
    return true;
  }
  // /proc/locks leaves out those of processes outside the PID namespace (locks_show, fs/locks.c).
  return found.odd_numbers || leftovers.processes_outside ? std::nullopt
                                                          : std::optional<bool>(false);
}

void find_paths(const Snapshot& snapshot, const ProcRoot& proc, const std::vector<int>& unseen,
                Leftovers& leftovers, std::vector<Coverage>& coverage) {
  PathWalk walk;
  std::vector<std::string> networks;
  walk_all(snapshot, proc, walk, networks);
  coverage.push_back(walk.coverage());
  const auto has = [&](PathFact::Type type) {
    return std::any_of(walk.found().begin(), walk.found().end(),
                       [&](const FoundPath& each) { return each.fact.type == type; });
  };
  // Opening /proc/locks waits for an RCU grace period, some 20 ms: beside the rest.
  std::optional<LockTable> locks;
  std::thread reader;
  if (has(PathFact::Type::lock_file)) {
    reader = std::thread([&] {
      if (const Result<std::string> text = proc.read(std::string("locks"))) {
        locks.emplace().load(*text);
      }
    });
  }
  BoundSockets sockets;
  if (has(PathFact::Type::socket)) {
    sockets.load(snapshot, proc, networks, unseen, coverage);
  }
  if (reader.joinable()) {
    reader.join();
  }
  const uint32_t own_pid_ns = proc.namespace_id(::getpid(), "pid").value_or(0);
  const UsedFiles files(snapshot);
  for (FoundPath& found : walk.found()) {
    found.fact.used = is_path_used(found, files, leftovers, sockets, locks ? &*locks : nullptr);
    if (found.fact.pid != 0 && found.fact.name_space != 0) {
      found.fact.pid = outer_pid(snapshot, found.fact.name_space, own_pid_ns, found.fact.pid);
    }
    leftovers.paths.push_back(std::move(found.fact));
  }
}

}  // namespace ipcscope
