// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <span>

#include "bpf/trace.h"
#include "collectors/trace/request.h"

namespace ipcscope {

/// What an operation does to its channel.
enum class TraceDirection : uint8_t {
  none,
  in,   ///< it gives: writes, sends, posts, wakes, unlocks
  out,  ///< it takes: reads, receives, waits, locks
};

/// An operation that can be traced.
struct TraceCall {
  int number;             ///< of the system call, or one of TRACE_CALL_*
  const char* operation;  ///< as TraceEvent has it
  uint64_t kinds;         ///< of channels that it can be about: bits of trace_kind
  trace_call kernel;      ///< what the probe does with it
  TraceDirection direction = TraceDirection::none;
  bool lifecycle = false;  ///< makes, connects or removes a channel
};

std::span<const TraceCall> trace_calls();
/// Null for a call that is not traced.
const TraceCall* find_trace_call(uint32_t number);
/// By its place in the summary; null for one that nobody has.
const TraceCall* trace_call_at(uint32_t index);

/// The name of a futex operation: "futex_wake" of FUTEX_WAKE, with or without flags.
const char* futex_operation(uint64_t operation, TraceDirection& direction);

/// The ring buffer that a mechanism, a trace_kind, is told in: a trace_ring.
uint8_t trace_ring_of(uint8_t kind);

bool is_selected(const TraceCall& call, const TraceRequest& request);
/// Fills in the table of the probe: those calls that can be about what is asked for.
void select_calls(const TraceRequest& request, std::span<trace_call, TRACE_CALLS> calls);

}  // namespace ipcscope
