// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "collectors/base/result.h"
#include "collectors/model/snapshot.h"
#include "collectors/trace/decoder.h"

namespace ipcscope {

/// How a file of records begins. What follows are records as the probe sends them, one behind the
/// other, and names that were looked up when they were written. Of this machine's byte order.
struct TraceFileHeader {
  char magic[8] = {'i', 'p', 'c', 't', 'r', 'a', 'c', 'e'};
  uint32_t version = 1;
  uint32_t event_bytes = sizeof(trace_event_record);
  int64_t realtime_offset_ns = 0;  ///< CLOCK_REALTIME - CLOCK_MONOTONIC
  char host[64] = {};
  char kernel[64] = {};
  [[nodiscard]] std::string_view bytes() const {
    return {reinterpret_cast<const char*>(this), sizeof *this};
  }
};
static_assert(sizeof(TraceFileHeader) == 152);

/// A record that only files have: what a channel is called.
constexpr uint16_t trace_name_kind = 5;
struct TraceNameRecord {
  uint16_t kind = trace_name_kind;
  uint16_t channel_kind = 0;
  uint32_t length = 0;  ///< of the id that follows, filled up to a multiple of 8
  uint64_t key = 0;
  int32_t pid = 0;  ///< of a futex: its key is an address
  uint32_t reserved = 0;
};
static_assert(sizeof(TraceNameRecord) == 24);

/// Another one: what the trace could and could not see. They stand before all others.
constexpr uint16_t trace_coverage_kind = 6;
struct TraceCoverageRecord {
  uint16_t kind = trace_coverage_kind;
  uint16_t state = 0;         ///< Coverage::State
  uint16_t source_bytes = 0;  ///< of what follows: source, reason, hint
  uint16_t reason_bytes = 0;
  uint16_t hint_bytes = 0;
  uint16_t reserved[3] = {};
  uint64_t checked = 0;
  uint64_t unreadable = 0;
};
static_assert(sizeof(TraceCoverageRecord) == 32);
void append_coverage_record(std::string& out, const Coverage& coverage);

/// Bytes of the record that data begins with; 0 when it is malformed or not all there.
size_t trace_record_size(std::span<const std::byte> data);

/// Passes on what another knows, and appends to out what has to be written of it.
class RecordedTraceNames final : public TraceNames {
 public:
  RecordedTraceNames(TraceNames& from, std::string& out) : from_(from), out_(out) {}
  TraceName name(const trace_channel_record& record, int32_t pid) override;
  TraceName futex(int32_t pid, uint64_t address, bool is_private) override;

 private:
  void append(const TraceName& name, uint64_t key, int32_t pid);
  TraceNames& from_;
  std::string& out_;
};

/// A file of records, as long as it is open in memory.
class TraceFile {
 public:
  static Result<TraceFile> open(const std::string& path);
  TraceFile(TraceFile&& other) noexcept;
  TraceFile& operator=(TraceFile&&) = delete;
  ~TraceFile();

  [[nodiscard]] const TraceFileHeader& header() const { return header_; }
  [[nodiscard]] const std::vector<Coverage>& coverage() const { return coverage_; }
  /// Decodes all of it. False: it ends in the middle or is damaged; what came before was decoded.
  bool decode(TraceSink& sink, uint64_t& events);

 private:
  TraceFile() = default;
  void read_coverage();
  const std::byte* data_ = nullptr;
  size_t bytes_ = 0;
  TraceFileHeader header_;
  std::vector<Coverage> coverage_;
};

}  // namespace ipcscope
