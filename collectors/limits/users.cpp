// SPDX-License-Identifier: GPL-2.0-or-later
// What the kernel counts for each user: pipe pages, inotify, epoll, queued signals, POSIX queues.
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/nsfs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <utility>

#include "collectors/limits/gathering.h"
#include "collectors/limits/name_space_files.h"

namespace ipcscope {

namespace {

/// A user of a user namespace (0: ipcscope's own).
using User = std::pair<uint32_t, uint32_t>;
using Tallies = std::map<User, LimitTally>;

LimitPlace place_of(const User& user, int32_t pid = 0) {
  return {.kind = LimitPlace::Kind::user, .name_space = user.first, .uid = user.second, .pid = pid};
}

LimitTally& tally_of(Tallies& tallies, const LimitGathering& gathering, const User& user) {
  return tallies.try_emplace(user, gathering).first->second;
}

/// Whether all of a user's processes may go beyond the limits of pipes; false when none is seen.
std::map<uint32_t, bool> exempt_users(const LimitGathering& gathering) {
  std::map<uint32_t, bool> exempt;
  for (const LimitProcess& process : gathering.facts.processes) {
    const auto [found, is_new] = exempt.try_emplace(process.uid, process.privileged);
    found->second = found->second && process.privileged;
  }
  return exempt;
}

constexpr const char* only_bpf = "how large pipes are is known with BPF only";

/// alloc_pipe_info() (Linux 6.18 fs/pipe.c) accounts a pipe's pages to the user that made it, which
/// is the owner of its inode; of a FIFO that is the first one that opened it.
void gather_pipes(LimitGathering& gathering) {
  const Snapshot& snapshot = gathering.snapshot;
  const auto page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  Tallies pages;
  tally_of(pages, gathering, {0, ::geteuid()});
  std::optional<uint64_t> largest = 0;
  for (const Channel& channel : snapshot.channels) {
    if (channel.kind != Kind::pipe && channel.kind != Kind::fifo) {
      continue;
    }
    const std::optional<uint64_t> bytes = channel.capacity_bytes;
    largest = largest && bytes ? std::max(largest, bytes) : std::nullopt;
    const ProcessIndex index = first_process(snapshot, channel);
    const LimitProcess* process = gathering.process(index);
    std::optional<uint32_t> uid = channel.uid;
    if (process != nullptr && (channel.kind == Kind::fifo || !uid)) {
      uid = process->uid;
    }
    if (!uid) {
      continue;
    }
    LimitTally& tally = tally_of(pages, gathering, {0, *uid});
    if (!bytes) {
      tally.add_unknown();
      continue;
    }
    index != no_index ? tally.add_process(index, *bytes / page)
                      : tally.add_user(*uid, *bytes / page);
  }
  const std::map<uint32_t, bool> exempt = exempt_users(gathering);
  for (const auto& [id, path] :
       {std::pair(LimitId::pipe_user_pages_soft, "sys/fs/pipe-user-pages-soft"),
        std::pair(LimitId::pipe_user_pages_hard, "sys/fs/pipe-user-pages-hard")}) {
    const std::optional<uint64_t> limit = number_at(read_setting(gathering.proc, path), 0);
    for (const auto& [user, tally] : pages) {
      LimitFact& fact = gathering.add(id, place_of(user));
      fact.used = tally.used();
      if (!fact.used) {
        fact.note = only_bpf;
      }
      fact.unlimited = limit == 0;
      fact.limit = fact.unlimited ? std::nullopt : limit;
      fact.users = tally.largest();
      const auto found = exempt.find(user.second);
      fact.exempt = found != exempt.end() && found->second;
    }
  }
  LimitFact& size = gathering.add(LimitId::pipe_max_size, {});
  size.used = largest;
  if (!largest) {
    size.note = only_bpf;
  }
  size.limit = number_at(read_setting(gathering.proc, "sys/fs/pipe-max-size"), 0);
}

/// Who pays in ipcscope's own user namespace for what a process of another one has: the user who
/// made the outermost namespace between them (Linux 6.18 kernel/ucount.c, inc_ucount: each
/// namespace up to the first is charged, to the owner of the one below).
std::optional<uint32_t> payer_of(const LimitGathering& gathering, uint32_t user_ns, int pid) {
  if (!gathering.live) {
    return std::nullopt;
  }
  Result<Fd> opened = open_name_space(gathering.proc, {user_ns, {pid}}, "user");
  if (!opened) {
    return std::nullopt;
  }
  Fd inner = std::move(*opened);
  constexpr int deepest = 32;  // kernel/user_namespace.c, create_user_ns
  for (int i = 0; i <= deepest; i++) {
    Fd parent(::ioctl(inner.get(), NS_GET_PARENT));
    struct stat status {};
    if (!parent || ::fstat(parent.get(), &status) != 0) {
      return std::nullopt;
    }
    if (status.st_ino == gathering.own_user_ns) {
      uid_t owner = 0;
      return ::ioctl(inner.get(), NS_GET_OWNER_UID, &owner) == 0 ? std::optional<uint32_t>(owner)
                                                                 : std::nullopt;
    }
    inner = std::move(parent);
  }
  return std::nullopt;
}

/// inotify_init1() charges the effective user in its user namespace, inotify_add_watch() the same
/// (Linux 6.18 fs/notify/inotify/inotify_user.c). The settings in fs.inotify are those of the first
/// user namespace, user.max_inotify_* those of the reader's.
void gather_inotify(LimitGathering& gathering) {
  const Snapshot& snapshot = gathering.snapshot;
  AttributeFinder count("watches");
  Tallies instances;
  Tallies watches;
  const User self = {0, ::geteuid()};
  tally_of(instances, gathering, self);
  tally_of(watches, gathering, self);
  std::map<uint32_t, NameSpace> others;
  std::map<uint32_t, std::optional<uint32_t>> payers;
  for (const Channel& channel : snapshot.channels) {
    if (channel.kind != Kind::inotify) {
      continue;
    }
    const ProcessIndex index = first_process(snapshot, channel);
    const LimitProcess* process = gathering.process(index);
    if (process == nullptr) {
      continue;
    }
    const std::optional<uint64_t> watched = count.number(snapshot, channel);
    const auto charge = [&](const User& user) {
      tally_of(instances, gathering, user).add_process(index, 1);
      LimitTally& tally = tally_of(watches, gathering, user);
      watched ? tally.add_process(index, *watched) : tally.add_unknown();
    };
    charge({process->user_ns, process->euid});
    if (process->user_ns != 0) {
      const uint32_t inode = process->user_ns;
      const auto [other, is_new] = others.try_emplace(inode, NameSpace{inode, {}});
      if (is_new) {
        payers[inode] = payer_of(gathering, inode, process->pid);
      }
      if (other->second.pids.size() < 4) {
        other->second.pids.push_back(process->pid);
      }
      if (payers[inode]) {
        charge({0, *payers[inode]});
      }
    }
  }
  std::vector<NameSpace> to_visit;
  to_visit.reserve(others.size());
  for (auto& [inode, other] : others) {
    to_visit.push_back(std::move(other));
  }
  if (!gathering.live) {
    to_visit.clear();
  }
  static constexpr const char* paths[] = {"sys/user/max_inotify_instances",
                                          "sys/user/max_inotify_watches"};
  const NameSpaceReading reading = read_in_name_spaces(gathering.proc, to_visit, "user", paths);
  std::map<uint32_t, const NameSpaceFiles*> read;
  for (const NameSpaceFiles& files : reading.found) {
    read[files.name_space] = &files;
  }
  const auto add = [&](LimitId id, size_t at, const char* own_path, const Tallies& tallies) {
    // fs.inotify exists in every kernel with inotify; ipcscope's own namespace need not be the
    // first.
    const std::optional<uint64_t> first = number_at(read_setting(gathering.proc, own_path), 0);
    for (const auto& [user, tally] : tallies) {
      const auto found = read.find(user.first);
      LimitFact& fact = gathering.add(id, place_of(user));
      fact.used = tally.used();
      fact.users = tally.largest();
      if (found != read.end()) {
        fact.place.pid = found->second->pid;
        fact.limit = number_at(numbers_of(found->second->texts[at]), 0);
      }
      if (user.first == 0 && !fact.limit) {
        fact.limit = first;
      }
    }
  };
  add(LimitId::inotify_instances, 0, "sys/fs/inotify/max_user_instances", instances);
  add(LimitId::inotify_watches, 1, "sys/fs/inotify/max_user_watches", watches);
  gathering.facts.coverage.push_back(cover_name_spaces("limits-user", "user", reading));
}

/// Each item of an epoll counts for the real user that made the epoll (Linux 6.18 fs/eventpoll.c,
/// ep_alloc and attach_epitem).
void gather_epoll(LimitGathering& gathering) {
  const Snapshot& snapshot = gathering.snapshot;
  AttributeFinder count("watches");
  Tallies watches;
  tally_of(watches, gathering, {0, ::getuid()});
  for (const Channel& channel : snapshot.channels) {
    if (channel.kind != Kind::epoll) {
      continue;
    }
    const ProcessIndex index = first_process(snapshot, channel);
    if (const LimitProcess* process = gathering.process(index)) {
      LimitTally& tally = tally_of(watches, gathering, {0, process->uid});
      const std::optional<uint64_t> watched = count.number(snapshot, channel);
      watched ? tally.add_process(index, *watched) : tally.add_unknown();
    }
  }
  const std::optional<uint64_t> limit =
      number_at(read_setting(gathering.proc, "sys/fs/epoll/max_user_watches"), 0);
  for (const auto& [user, tally] : watches) {
    LimitFact& fact = gathering.add(LimitId::epoll_watches, place_of(user));
    fact.used = tally.used();
    fact.limit = limit;
    fact.users = tally.largest();
  }
}

/// The lower of two limits, of which nothing is none.
bool is_lower(const std::optional<uint64_t>& a, const std::optional<uint64_t>& b) {
  return a && (!b || *a < *b);
}

/// A signal is queued, and a POSIX timer made, while the count of the user stays within the limit
/// of the process that it is for (Linux 6.18 kernel/signal.c, sig_get_ucounts). The count is in
/// SigQ.
void gather_signals(LimitGathering& gathering) {
  struct Count {
    const LimitProcess* tightest = nullptr;  ///< of those that matter
    bool pending = false;                    ///< those are the ones with pending signals
    std::vector<LimitUser> users;
  };
  std::map<User, Count> counts;
  for (const LimitProcess& process : gathering.facts.processes) {
    if (!process.queued_signals || !process.has_limits) {
      continue;
    }
    Count& count = counts[{process.user_ns, process.uid}];
    const bool pending = process.has_pending_signals;
    if (pending) {
      count.users.push_back({process.pid, process.uid, process.comm, 0});
    }
    // A process with a lower limit to which nobody sends signals does not matter.
    const bool better =
        count.tightest == nullptr || (pending && !count.pending) ||
        (pending == count.pending &&
         (pending ? is_lower(process.sigpending.soft, count.tightest->sigpending.soft)
                  : is_lower(count.tightest->sigpending.soft, process.sigpending.soft)));
    if (better) {
      count.tightest = &process;
      count.pending = pending;
    }
  }
  for (auto& [user, count] : counts) {
    LimitFact& fact =
        gathering.add(LimitId::rlimit_sigpending, place_of(user, count.tightest->pid));
    fact.used = count.tightest->queued_signals;
    fact.limit = count.tightest->sigpending.soft;
    fact.unlimited = !fact.limit;
    if (const auto hard = count.tightest->sigpending.hard) {
      fact.setting = {*hard};
    }
    constexpr size_t enough = 5;
    count.users.resize(std::min(count.users.size(), enough));
    fact.users = std::move(count.users);
  }
}

/// A queue's memory at its fullest counts for the user that made it: for each message it may hold
/// its size and a struct msg_msg, and for each priority a struct posix_msg_tree_node, both of 48
/// bytes on 64-bit machines (Linux 6.18 ipc/mqueue.c, mqueue_get_inode).
uint64_t queue_bytes(uint64_t messages, uint64_t message_bytes) {
  constexpr uint64_t message_head = 48, node = 48, priorities = 32768;
  return messages * (message_bytes + message_head) + std::min(messages, priorities) * node;
}

void gather_queues(LimitGathering& gathering) {
  const Snapshot& snapshot = gathering.snapshot;
  AttributeFinder message_bytes("message_bytes_max");
  struct Count {
    LimitTally bytes;
    const LimitProcess* tightest = nullptr;
    explicit Count(const LimitGathering& gathering) : bytes(gathering) {}
  };
  std::map<uint32_t, Count> counts;
  counts.try_emplace(::getuid(), gathering);
  for (const Channel& channel : snapshot.channels) {
    if (channel.kind != Kind::mq || !channel.uid) {
      continue;
    }
    Count& count = counts.try_emplace(*channel.uid, gathering).first->second;
    const std::optional<uint64_t> messages = channel.capacity_messages;
    const auto each = message_bytes.number(snapshot, channel);
    const ProcessIndex index = first_process(snapshot, channel);
    if (!messages || !each) {
      count.bytes.add_unknown();
    } else if (index != no_index) {
      count.bytes.add_process(index, queue_bytes(*messages, *each));
    } else {
      count.bytes.add_user(*channel.uid, queue_bytes(*messages, *each));
    }
    // The limit is that of who makes a queue: of those that have one, the lowest counts.
    const LimitProcess* process = gathering.process(index);
    if (process != nullptr && process->has_limits && process->uid == *channel.uid &&
        (count.tightest == nullptr ||
         is_lower(process->msgqueue.soft, count.tightest->msgqueue.soft))) {
      count.tightest = process;
    }
  }
  for (auto& [uid, count] : counts) {
    if (count.tightest == nullptr) {
      for (const LimitProcess& process : gathering.facts.processes) {
        if (process.uid == uid && process.has_limits &&
            (count.tightest == nullptr ||
             is_lower(count.tightest->msgqueue.soft, process.msgqueue.soft))) {
          count.tightest = &process;
        }
      }
    }
    LimitFact& fact = gathering.add(LimitId::rlimit_msgqueue, place_of({0, uid}));
    fact.users = count.bytes.largest();
    fact.used = count.bytes.used();
    if (!fact.used) {
      fact.note = "the sizes of some queues could not be read";
    }
    if (count.tightest == nullptr) {
      fact.note = "no process of this user is seen whose limit it could be";
      continue;
    }
    fact.place.pid = count.tightest->pid;
    fact.limit = count.tightest->msgqueue.soft;
    fact.unlimited = !fact.limit;
    if (const auto hard = count.tightest->msgqueue.hard) {
      fact.setting = {*hard};
    }
  }
}

}  // namespace

void gather_user_limits(LimitGathering& gathering) {
  gather_pipes(gathering);
  gather_inotify(gathering);
  gather_epoll(gathering);
  gather_signals(gathering);
  gather_queues(gathering);
}

}  // namespace ipcscope
