// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "analysis/stuck.h"
#include "analysis/wait_graph.h"
#include "collectors/base/proc_root.h"
#include "collectors/base/result.h"
#include "collectors/model/snapshot.h"
#include "collectors/request.h"

namespace ipcscope {

/// Threads that have come to the same end by the same way.
struct ChainGroup {
  WaitGraph::Chain chain;            ///< of the first of them
  std::vector<ThreadIndex> threads;  ///< the one that has waited longest first
};

/// Who could end one wait.
struct WhyBranch {
  uint32_t wait = no_index;
  std::vector<ThreadIndex> to;  ///< those that are told
  size_t moving = 0;            ///< others that are not stuck
  size_t stuck = 0;             ///< others that are
  bool more = false;            ///< and more that were not counted
};

/// What the kernel has a thread sleep in.
struct KernelSleep {
  std::vector<std::string> functions;  ///< the innermost first
  std::string reason;                  ///< "disk", "FUSE, served by sshfs[12]"; empty: unknown
};

/// One answer of `why`. The graph refers to the snapshot, which stays as long.
struct WhyReport {
  explicit WhyReport(std::shared_ptr<const Snapshot> of) : kept(std::move(of)), snapshot(*kept) {}
  WhyReport(const WhyReport&) = delete;
  WhyReport& operator=(const WhyReport&) = delete;

  const std::shared_ptr<const Snapshot> kept;
  const Snapshot& snapshot;
  WaitFacts facts;
  std::optional<WaitGraph> graph;
  std::vector<ChainGroup> groups;  ///< of the threads asked for, or that wait long
  std::vector<Finding> findings;
  WaitCounts counts;
  std::optional<uint64_t> apart_ms;  ///< how far apart two looks were; nothing: one look
  size_t dropped = 0;                ///< findings that moved meanwhile
  std::unordered_map<int, std::vector<std::string>> stacks;  ///< by tid: frames, raw bytes
  std::unordered_map<uint32_t, std::string> notes;           ///< by wait, of what its memory tells
  /// By tid, of threads at which a chain ends in the kernel. Without functions: unreadable.
  std::unordered_map<int, KernelSleep> kernel;

  /// The waits of a thread that are to be told, and who could end each.
  [[nodiscard]] std::vector<WhyBranch> branches(ThreadIndex thread) const;
  /// What else is to be said of a wait. Empty: nothing.
  [[nodiscard]] std::string note(uint32_t wait) const;
  /// The verdict in words, with what the kernel's stack tells.
  [[nodiscard]] std::string verdict(const WaitGraph::Chain& chain) const;
};

struct WhyQuestion {
  Request request;
  std::vector<pid_t> targets;  ///< processes or threads; none: everything that is stuck
  uint64_t longer_than_ns = 0;
  bool twice = true;
  std::chrono::milliseconds apart{40};  ///< at least, between two looks
};

/// Looks at the host once, and at the threads of findings twice. Fails when nothing could be
/// collected. A target that is not in the snapshot is left out of the groups.
Result<std::unique_ptr<WhyReport>> ask_why(const WhyQuestion& question, const ProcRoot& proc);

/// The same from a snapshot that is there already, taken at this time with Request::relations: the
/// request of the question means nothing. Threads that have moved since are in no finding.
std::unique_ptr<WhyReport> explain(std::shared_ptr<const Snapshot> snapshot,
                                   std::chrono::steady_clock::time_point taken,
                                   const WhyQuestion& question, const ProcRoot& proc);

}  // namespace ipcscope
