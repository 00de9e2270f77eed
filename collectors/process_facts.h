// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "collectors/base/proc_root.h"

namespace ipcscope {

/// A set of signals: bit N - 1 is signal N, as in /proc/PID/status.
using SignalSet = uint64_t;

/// A resource limit of a process; nothing where it is unlimited.
struct ResourceLimit {
  std::string name;  ///< as /proc/PID/limits says it
  std::optional<uint64_t> soft, hard;
  std::string unit;
};

struct ThreadFacts {
  int tid = 0;
  std::optional<SignalSet> pending, blocked;
  std::string wchan;               ///< kernel function that it sleeps in; empty: none or unknown
  std::vector<std::string> stack;  ///< kernel functions, innermost first; empty when not allowed
};

/// What `show` tells of a process beyond the snapshot: read for a few processes, on demand. All raw
/// bytes, all of it possibly unreadable.
struct ProcessFacts {
  int pid = 0;
  bool exists = false;
  std::vector<std::string> command_line;  ///< empty for a kernel thread, or when it hides it
  std::string cgroup;                     ///< path in the unified hierarchy, else the first one
  std::string container;                  ///< id, where the path has one
  std::string container_runtime;          ///< docker, containerd, cri-o, podman, lxc, nspawn
  std::string unit;                       ///< the systemd unit that is deepest in the path
  std::vector<std::pair<std::string, uint32_t>> namespaces;  ///< "ipc" -> inode number
  std::vector<int> namespace_pids;  ///< its number in each PID namespace, outermost first
  std::vector<std::pair<int, std::string>> parents;  ///< pid and comm, the parent first
  std::optional<SignalSet> shared_pending, blocked, ignored, caught;
  std::optional<uint64_t> queued_signals;  ///< of its user, which is what the limit is about
  std::vector<ResourceLimit> limits;       ///< those that limit IPC
  std::vector<ThreadFacts> threads;
};

/// with_threads: the threads, their stacks too.
ProcessFacts read_process_facts(const ProcRoot& proc, int pid, bool with_threads);

/// One thread of it: for callers that know which one they want of thousands.
ThreadFacts read_thread_facts(const ProcRoot& proc, int pid, int tid);

/// The signals that a process catches and that come from outside: not those of the C library (32
/// and 33), nor those that only its own mistakes raise (SIGSEGV and the like). Nothing when it
/// cannot be told.
std::optional<SignalSet> read_caught_signals(const ProcRoot& proc, int pid);

/// Sets container, container_runtime and unit from cgroup.
void recognize_cgroup(ProcessFacts& facts);

}  // namespace ipcscope
