// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

#include "bpf/trace.h"
#include "collectors/base/identity_map.h"
#include "collectors/model/trace_event.h"
#include "collectors/trace/calls.h"

namespace ipcscope {

/// What a channel is called, and which of the kinds it turned out to be.
struct TraceName {
  std::string id;
  uint8_t kind = TRACE_NO_KIND;  ///< a trace_kind
  bool is_whole = true;          ///< false: somebody else who uses it may know more
};

/// Knows what to call a channel: from /proc while it is live, from the file afterwards.
class TraceNames {
 public:
  virtual ~TraceNames() = default;
  /// record: what the probe said about it, name included. pid: in ipcscope's namespace, 0 when it
  /// is not known.
  virtual TraceName name(const trace_channel_record& record, int32_t pid) = 0;
  /// The futex at this address. is_private: its caller said that it is.
  virtual TraceName futex(int32_t pid, uint64_t address, bool is_private) = 0;
};

/// Takes what was decoded.
class TraceSink {
 public:
  virtual ~TraceSink() = default;
  virtual void event(const TraceEvent& event) = 0;
  /// This many events are missing here. kind: of which mechanism, a trace_kind; TRACE_NO_KIND: that
  /// is not known.
  virtual void lost(uint8_t kind, uint64_t count) = 0;
};

/// Turns the probe's records into events. The records of a channel and a thread come before their
/// events.
class TraceDecoder {
 public:
  explicit TraceDecoder(TraceNames& names) : names_(names) {}

  /// One record; false when it is malformed. Events go to sink, nothing else does.
  bool take(std::span<const std::byte> record, TraceSink& sink);
  /// The number of a channel's event in the order of their appearance, as TraceEvent::channel_index
  /// has it, without an event: for who writes records as they are.
  uint32_t channel_of(const trace_event_record& event);

  [[nodiscard]] uint64_t events() const { return events_; }
  [[nodiscard]] uint64_t lost() const { return lost_; }

 private:
  struct Thread {
    int32_t pid = 0, tid = 0;
    char comm[16] = {};
  };
  /// One end of a channel, or all of it.
  struct End {
    std::string id;
    uint8_t kind = TRACE_NO_KIND;
    bool two_ends = false;          ///< a socket: whoever uses the other end is the peer
    uint64_t peer = 0;              ///< key of the other end
    int32_t peer_pid = 0;           ///< as the socket remembers it
    int tries = 0;                  ///< how often its name may still be looked for
    trace_channel_record record{};  ///< while that is so
    uint32_t giver = UINT32_MAX, taker = UINT32_MAX;  ///< threads that used it last
  };
  void take_lost(const trace_lost_record& record, TraceSink& sink);
  void take_thread(const trace_thread_record& record);
  void take_channel(const trace_channel_record& record);
  bool take_event(const trace_event_record& record, std::span<const std::byte> tail,
                  TraceSink& sink);
  uint32_t thread_index(uint32_t tid);
  uint32_t end_index(uint64_t key, uint32_t thread, bool is_private);
  uint32_t add_end(End&& end);
  uint32_t try_again(uint32_t index, uint32_t thread);
  /// uses: the operation counts as a use of the channel, and not only as its making.
  TracePeer find_peer(End& end, uint32_t thread, TraceDirection direction, bool uses);
  void describe(TraceEvent& event, const trace_event_record& record, uint32_t thread);

  TraceNames& names_;
  IdentityMap thread_of_;       ///< by tid
  std::deque<Thread> threads_;  ///< never move: events have views into them
  IdentityMap end_of_;          ///< by key; of a futex: mixed with the process
  std::deque<End> ends_;
  std::unordered_map<std::string, uint64_t> inet_;     ///< addresses of an end: its key
  std::unordered_map<std::string, uint32_t> futexes_;  ///< by id: those in shared memory
  std::string detail_;
  uint64_t events_ = 0, lost_ = 0;
  std::array<uint64_t, TRACE_WORDS + 1> lost_of_{};  ///< as their records said last; by their word
};

/// What a probe says of what it lost; lost: since the beginning.
trace_lost_record lost_record(uint8_t kind, uint64_t lost);

/// "unix" of TRACE_UNIX, "signal" of TRACE_SIGNAL: the words of the command line.
std::string_view trace_word(uint8_t kind);
/// A trace_kind; nothing when there is no such word.
std::optional<uint8_t> trace_kind_from_word(std::string_view word);

}  // namespace ipcscope
