// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace ipcscope {

/// What is to be traced.
struct TraceRequest {
  uint64_t kinds = ~uint64_t{0};  ///< bits of trace_kind
  std::vector<pid_t> pids;        ///< at most TRACE_PIDS_MAX; empty: all
  pid_t tid = 0;
  std::optional<uid_t> uid;
  std::string comm;                ///< exactly; empty: any
  std::optional<uint64_t> cgroup;  ///< identifier (version 2); those below it, too
  uint32_t cgroup_level = 0;       ///< how far that one is below the root
  std::string channel;             ///< id, as `ls` gives it
  uint64_t slower_than_ns = 0;
  bool errors = false;     ///< only what failed
  bool lifecycle = false;  ///< only what makes, connects or removes channels
  uint32_t payload = 0;    ///< first bytes of what was moved
  bool stacks = false;
  bool summary = false;  ///< sums instead of a stream
};

}  // namespace ipcscope
