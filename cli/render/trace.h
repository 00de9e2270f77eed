// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "cli/render/output.h"
#include "cli/render/terminal.h"
#include "collectors/trace/decoder.h"
#include "collectors/trace/probe.h"

namespace ipcscope {

/// Where the trace was made.
struct TraceHead {
  std::string host;
  std::string kernel;
  int64_t realtime_offset_ns = 0;  ///< CLOCK_REALTIME - CLOCK_MONOTONIC
  std::vector<Coverage> coverage;  ///< empty: not known
};

/// What a trace came to.
struct TraceTotal {
  uint64_t events = 0;
  uint64_t lost = 0;
  uint64_t unfinished = 0;
  std::vector<TraceLoss> losses;           ///< by mechanism, the most first
  std::optional<uint64_t> undecoded = {};  ///< calls of 32-bit programs; a file does not tell
};

/// Names the function at an address of a process; empty when it cannot.
using FunctionNames = std::function<std::string(int32_t pid, uint64_t address)>;

/// A sink with a beginning and an end.
class TraceWriter : public TraceSink {
 public:
  virtual void begin(const TraceHead& head) = 0;
  virtual void end(const TraceTotal& total) = 0;
};

/// How many cells each column of a line has; 0: the line is without it.
struct TraceWidths {
  size_t time, process, peer, operation, channel, size, duration;
  bool shortens;  ///< names of processes and operations that are longer; else the line moves
};

/// One line an event, for people.
class TraceText final : public TraceWriter {
 public:
  TraceText(Output& out, const Terminal& terminal, FunctionNames functions);
  void begin(const TraceHead& head) override;
  void event(const TraceEvent& event) override;
  void lost(uint8_t kind, uint64_t count) override;
  void end(const TraceTotal& total) override;

 private:
  void append_time(uint64_t monotonic_ns);
  void append_process(std::string_view comm, int32_t pid, int32_t tid, size_t width);
  void append_column(size_t from, size_t width);

  Output& out_;
  const Terminal& terminal_;
  FunctionNames functions_;
  TraceWidths widths_;
  int64_t offset_ = 0;
  int64_t second_ = -1;  ///< whose text clock_ is
  char clock_[9] = {};   ///< "12:34:56"
  std::string line_;
};

/// One JSON object a line.
class TraceJson final : public TraceWriter {
 public:
  TraceJson(Output& out, bool payload, FunctionNames functions, bool stacks);
  void begin(const TraceHead& head) override;
  void event(const TraceEvent& event) override;
  void lost(uint8_t kind, uint64_t count) override;
  void end(const TraceTotal& total) override;

 private:
  const std::string& thread(uint32_t index, int32_t pid, int32_t tid, std::string_view comm);
  void number(uint64_t value);

  Output& out_;
  bool payload_;
  bool stacks_;
  FunctionNames functions_;
  std::vector<std::string> threads_;   ///< "pid":1,"tid":1,"comm":"x" by thread_index
  std::vector<std::string> channels_;  ///< "channel":"pipe:1" by channel_index
  std::string unnumbered_;             ///< the thread of an event that has no index
  std::string scratch_;
};

/// The format of chrome://tracing, which ui.perfetto.dev opens: a track for each thread, an arrow
/// from each write to the read behind it.
class TracePerfetto final : public TraceWriter {
 public:
  explicit TracePerfetto(Output& out) : out_(out) {}
  void begin(const TraceHead& head) override;
  void event(const TraceEvent& event) override;
  void lost(uint8_t kind, uint64_t count) override;
  void end(const TraceTotal& total) override;

 private:
  struct Last {
    uint64_t end_ns = 0;
    uint64_t begin_ns = 0;
    int32_t pid = 0, tid = 0;
    bool used = true;
  };
  void separate();
  void microseconds(uint64_t ns);
  void name_thread(const TraceEvent& event);

  Output& out_;
  bool first_ = true;
  uint64_t flows_ = 0;
  uint64_t last_ns_ = 0;
  std::unordered_set<uint32_t> named_;
  std::unordered_set<int32_t> processes_;
  std::unordered_map<std::string, Last> writes_;  ///< the last one, by channel
};

/// The table of `trace --summary`, and its JSON.
void write_trace_summary(Output& out, const Terminal& terminal, std::span<const TraceSum> sums);
void write_trace_summary_json(Output& out, const TraceHead& head, std::span<const TraceSum> sums,
                              uint64_t window_ns, std::span<const TraceLoss> losses);

/// "pipe 28, futex 2".
std::string losses_text(std::span<const TraceLoss> losses);

/// "EAGAIN" of -11, "ERESTARTSYS" of -512, the number where it has no name.
std::string result_text(int64_t result);
/// Appends "850ns", "3.2us", "12ms", "1.50s".
void append_short_duration(std::string& out, uint64_t ns);

}  // namespace ipcscope
