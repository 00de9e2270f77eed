// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <map>
#include <string>
#include <unordered_map>

#include "collectors/mechanism.h"
#include "collectors/target_memory.h"

namespace ipcscope {

/// Finds the channels of those waits that name a file or an address instead of a descriptor with a
/// channel: record locks, opens, connections. Never touches the files.
class WaitPaths {
 public:
  WaitPaths(TargetMemory& memory, Assembly& assembly) : memory_(memory), assembly_(assembly) {}

  /// The locks of a kind on the file that fd refers to; no_index when nobody holds one.
  ChannelIndex lock(const Thread& thread, int32_t fd, Kind kind);
  /// What an open() waits for: a lease on the file, or the other side of a FIFO. The FIFO's channel
  /// is made when no process has it open. path_argument: which one is the path; relative to the
  /// descriptor in the one before it, or to the working directory when it is the first.
  ChannelIndex open(ThreadIndex thread, int path_argument, bool is_open);
  /// Who listens or reads at the UNIX address; no_index when it is none or nobody does.
  ChannelIndex unix_address(const Thread& thread, uint64_t address, uint64_t size);

 private:
  std::string path_of(const Thread& thread, int path_argument);
  std::string kernel_function(const Thread& thread) const;
  ChannelIndex add_fifo(const std::string& path, const Process& process);

  TargetMemory& memory_;
  Assembly& assembly_;
  bool looked_for_locks_ = false, looked_for_names_ = false;
  std::multimap<std::pair<Kind, uint64_t>, ChannelIndex> locks_;  ///< by kind and inode
  std::unordered_multimap<std::string_view, ChannelIndex> names_;
};

/// A path without "." and ".." and double slashes, as far as that can be done without looking.
std::string clean_path(std::string_view path);

}  // namespace ipcscope
