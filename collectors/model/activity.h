// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "collectors/model/snapshot.h"

namespace ipcscope {

/// What was done at one channel within a window: operations that succeeded, and the bytes that they
/// moved. A call that moves several messages counts each of them; what only peeks counts nothing.
struct ChannelActivity {
  std::string id;  ///< that of the channel in a Snapshot; raw bytes
  Kind kind = Kind::pipe;
  uint64_t reads = 0;   ///< reads, receives, semaphore operations that take
  uint64_t writes = 0;  ///< writes, sends, semaphore operations that give
  uint64_t read_bytes = 0;
  uint64_t written_bytes = 0;
  std::vector<int32_t> pids;  ///< who did it, the busiest first
};

/// What one process did, at all its channels.
struct ProcessActivity {
  int32_t pid = 0;   ///< in ipcscope's own namespace; 0: it has none there
  std::string comm;  ///< of its first thread; raw bytes
  uint64_t reads = 0;
  uint64_t writes = 0;
  uint64_t read_bytes = 0;
  uint64_t written_bytes = 0;
  uint64_t signals_sent = 0;
};

/// Everything that was done within a window.
struct Activity {
  uint64_t window_ns = 0;
  std::vector<ChannelActivity> channels;   ///< those with the most operations first
  std::vector<ProcessActivity> processes;  ///< likewise
  uint64_t lost = 0;  ///< operations that were seen and are in no channel above
  std::vector<Coverage> coverage;
};

}  // namespace ipcscope
