// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "collectors/model/snapshot.h"

namespace ipcscope {

/// A limit of the kernel or of a process. What each counts and how it is raised is in the table of
/// analysis/limits.cpp, in this order.
enum class LimitId : uint8_t {
  shmmni,
  shmall,
  shmmax,
  semmni,
  semmns,
  semmsl,
  semopm,
  semume,
  msgmni,
  msgmnb,
  msgmax,
  mq_queues_max,
  mq_msg_max,
  mq_msgsize_max,
  rlimit_msgqueue,
  pipe_user_pages_soft,
  pipe_user_pages_hard,
  pipe_max_size,
  max_dgram_qlen,
  somaxconn,
  rmem_max,
  wmem_max,
  ip_local_port_range,
  tcp_max_tw_buckets,
  rlimit_nofile,
  file_max,
  nr_open,
  inotify_instances,
  inotify_watches,
  epoll_watches,
  rlimit_sigpending,
  shm_mount_space,
  shm_mount_inodes,
  huge_pages,
  threads_max,
  pid_max,
  cgroup_pids,
  count,
};
constexpr size_t limit_id_count = static_cast<size_t>(LimitId::count);

/// Whose limit it is.
struct LimitPlace {
  enum class Kind : uint8_t { host, ipc, net, pid_ns, user, process, cgroup, mount, channel };
  Kind kind = Kind::host;
  /// Inode number of the namespace that it belongs to; 0: ipcscope's own. Of a user: of the user
  /// namespace.
  uint32_t name_space = 0;
  uint32_t uid = 0;  ///< of a user
  int32_t pid = 0;   ///< of a process; else one that lives there, 0 when none is known
  /// Path of a cgroup or a mount point, id of a channel, size of huge pages; raw bytes.
  std::string name = {};
};

/// Who uses how much of it.
struct LimitUser {
  int32_t pid = 0;            ///< 0: it is known by its user only
  uint32_t uid = UINT32_MAX;  ///< UINT32_MAX: unknown
  std::string comm;           ///< raw bytes; empty where pid is 0
  uint64_t used = 0;          ///< 0: takes part, but how much is not known
};

/// What was read of one limit at one place.
struct LimitFact {
  LimitId id = LimitId::count;
  LimitPlace place;
  std::optional<uint64_t> used;
  std::optional<uint64_t> limit;  ///< nothing: unknown, or none is set
  bool unlimited = false;         ///< none is set
  /// Whoever uses it may go beyond it: the kernel exempts them.
  bool exempt = false;
  /// used is no more than this, which is all that was worth finding out.
  bool at_most = false;
  /// All numbers of the setting that the limit is one of, as the kernel prints them.
  std::vector<uint64_t> setting;
  std::vector<LimitUser> users;  ///< some of them, those who use most first
  std::string note;              ///< what else is to be known, or why a number is not; raw bytes
  std::string directory;         ///< of a cgroup: where its files are; raw bytes
  std::vector<uint32_t> shared;  ///< further namespaces that have the same one
};

/// A soft and a hard limit of a process; nothing where it is unlimited or could not be read.
struct LimitPair {
  std::optional<uint64_t> soft, hard;
};

/// A process, and what it shares with others.
struct LimitProcess {
  int32_t pid = 0;
  uint32_t uid = 0, euid = 0;
  uint32_t ipc_ns = 0, net_ns = 0, mnt_ns = 0, pid_ns = 0, user_ns = 0;  ///< 0: ipcscope's own
  std::optional<uint32_t> descriptors;
  bool has_limits = false;  ///< the next three could be read
  LimitPair nofile, msgqueue, sigpending;
  std::optional<uint64_t> queued_signals;  ///< of its user (SigQ)
  bool privileged = false;  ///< CAP_SYS_RESOURCE or CAP_SYS_ADMIN in ipcscope's user namespace
  bool has_pending_signals = false;
  uint32_t threads = 0;
  uint32_t cgroup = UINT32_MAX;  ///< index into LimitFacts::cgroups
  std::string comm;              ///< raw bytes
};

/// Everything that is to be judged.
struct LimitFacts {
  std::vector<LimitFact> facts;
  std::vector<LimitProcess> processes;  ///< by pid; kernel threads are left out
  std::vector<std::string> cgroups;     ///< paths within the hierarchy that limits processes
  std::vector<Coverage> coverage;
};

}  // namespace ipcscope
