// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "collectors/model/snapshot.h"
#include "collectors/process_facts.h"
#include "collectors/protocol.h"

namespace ipcscope {

/// One way from a process to others, over one channel.
struct PeerEdge {
  unsigned hop = 1;  ///< 1: from where the question begins
  ProcessIndex from = no_index;
  ChannelIndex channel = no_index;
  std::vector<ProcessIndex> to;
};

/// A limit of the kernel that applies to every channel of some kinds.
struct KernelLimit {
  std::string name;   ///< of the sysctl, "kernel.msgmnb"
  std::string value;  ///< may be several numbers
};

/// What `show` found.
struct ShowReport {
  explicit ShowReport(const Snapshot& of) : snapshot(of) {}

  const Snapshot& snapshot;
  std::vector<ChannelIndex> channels;   ///< asked for
  std::vector<ProcessIndex> processes;  ///< asked for
  Protocols protocols;                  ///< of the channels asked for
  /// By pid: of the processes asked for, with threads; of those at the channels asked for, without.
  std::map<int, ProcessFacts> facts;
  std::map<Kind, std::vector<KernelLimit>> limits;  ///< by kind, of the channels asked for
  std::vector<std::pair<std::string, uint32_t>> own_namespaces;  ///< of ipcscope itself
  std::vector<PeerEdge> peers;                                   ///< depth first
  size_t peers_omitted = 0;                                      ///< ways that were left out
  std::vector<std::vector<ChannelIndex>> channels_of;            ///< for each of processes
};

/// Completes a report in which channels and processes are set.
void complete(ShowReport& report, const ProcRoot& proc);

/// The channels that a word can mean: an id, raw or as it is printed; else a name, or a number that
/// is an inode number or the number in an id, with or without a kind before it; else ids that begin
/// so.
std::vector<ChannelIndex> matching_channels(const Snapshot& snapshot, std::string_view word);

}  // namespace ipcscope
