// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "collectors/base/fd.h"
#include "collectors/base/proc_root.h"
#include "collectors/base/result.h"
#include "collectors/model/snapshot.h"
#include "collectors/trace/calls.h"
#include "collectors/trace/request.h"
#include "collectors/trace/rings.h"
#include "collectors/trace/trace_program.h"

namespace ipcscope {

/// The sums of one operation on one kind of channel.
struct TraceSum {
  const TraceCall* call = nullptr;
  uint8_t kind = TRACE_NO_KIND;
  trace_sum sum{};
};

/// Operations of one mechanism that are missing.
struct TraceLoss {
  uint8_t kind = TRACE_NO_KIND;  ///< a trace_kind; TRACE_NO_KIND: it is not known of which
  uint64_t count = 0;
};

/// A thread that is in a traced call.
struct TraceBlocked {
  uint32_t tid = 0;  ///< number of the first PID namespace
  uint32_t call = 0;
  uint64_t begin_ns = 0;
};

/// The programs of bpf/trace.bpf.c while they run. Nothing is pinned: they are gone with this
/// object, or with the process.
class TraceProbe {
 public:
  /// Fails where BPF cannot be used and where request asks for what does not exist.
  static Result<std::unique_ptr<TraceProbe>> start(const TraceRequest& request,
                                                   const ProcRoot& proc);
  ~TraceProbe();
  TraceProbe(const TraceProbe&) = delete;
  TraceProbe& operator=(const TraceProbe&) = delete;

  /// Nothing is reported any more, but what was can still be read.
  void stop();
  TraceRings& records() { return rings_; }
  /// What was lost since the beginning, or found no room in the sums.
  std::vector<TraceLoss> lost() const;
  /// Sums of all CPUs, the most frequent first. Only with request.summary.
  std::vector<TraceSum> sums() const;
  /// Threads that are in a traced call now, as far as it began during the trace.
  std::vector<TraceBlocked> blocked() const;
  /// Calls of 32-bit programs so far, which are left out. At least: of the others' numbers only
  /// those are looked at that are of traced calls.
  [[nodiscard]] uint64_t undecoded() const;
  /// What of the request could not be seen so far.
  [[nodiscard]] std::vector<Coverage> coverage() const;

 private:
  TraceProbe() = default;
  Result<void> load(const TraceRequest& request, const ProcRoot& proc);
  Result<void> open_rings(const trace_constants& constants);
  void find_hidden(const TraceRequest& request, const ProcRoot& proc);
  Result<void> attach(const TraceRequest& request);
  uint64_t missed() const;

  trace_program program_{};
  std::vector<Fd> links_;
  TraceRings rings_;
  std::vector<Coverage> coverage_;
};

/// Keys of the channels that ipcscope writes to, and of its terminal.
std::vector<uint64_t> output_channels(const ProcRoot& proc);
/// Processes that pass ipcscope's output on: who reads what it writes to, who reads what these
/// write to, and so on to the program behind the terminal.
std::vector<pid_t> output_readers(const ProcRoot& proc);

}  // namespace ipcscope
