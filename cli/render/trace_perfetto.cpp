// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>

#include <algorithm>

#include "cli/render/json.h"
#include "cli/render/trace.h"

namespace ipcscope {

void TracePerfetto::begin(const TraceHead& head) {
  std::string text = R"({"displayTimeUnit":"ns","otherData":{"producer":"ipcscope","host":)";
  append_json_string(text, head.host);
  text += ",\"kernel\":";
  append_json_string(text, head.kernel);
  text += "},\"traceEvents\":[\n";
  out_.write(text);
}

void TracePerfetto::separate() {
  if (!first_) {
    out_.write(",\n");
  }
  first_ = false;
}

/// Times of this format are microseconds, with a fraction.
void TracePerfetto::microseconds(uint64_t ns) {
  out_.number(ns / 1000);
  const uint64_t rest = ns % 1000;
  const char fraction[] = {'.', static_cast<char>('0' + rest / 100),
                           static_cast<char>('0' + rest / 10 % 10),
                           static_cast<char>('0' + rest % 10)};
  out_.write({fraction, sizeof fraction});
}

void TracePerfetto::name_thread(const TraceEvent& event) {
  if (!named_.insert(event.thread_index).second) {
    return;
  }
  std::string comm;
  append_json_string(comm, event.comm);
  separate();
  out_.write(
      fmt::format(R"({{"ph":"M","name":"thread_name","pid":{},"tid":{},"args":{{"name":{}}}}})",
                  event.pid, event.tid, comm));
  if (processes_.insert(event.pid).second || event.pid == event.tid) {
    separate();
    out_.write(
        fmt::format(R"({{"ph":"M","name":"process_name","pid":{},"tid":{},"args":{{"name":{}}}}})",
                    event.pid, event.tid, comm));
  }
}

void TracePerfetto::event(const TraceEvent& event) {
  name_thread(event);
  const uint64_t duration = event.duration_ns.value_or(0);
  const uint64_t end = event.time_ns + duration;
  last_ns_ = std::max(last_ns_, end);
  separate();
  out_.write(event.duration_ns ? "{\"ph\":\"X\",\"ts\":" : "{\"ph\":\"i\",\"s\":\"t\",\"ts\":");
  microseconds(event.time_ns);
  if (event.duration_ns) {
    out_.write(",\"dur\":");
    microseconds(duration);
  }
  std::string text = fmt::format(R"(,"pid":{},"tid":{},"name":"{}","cat":"{}","args":{{"channel":)",
                                 event.pid, event.tid, event.operation, event.kind);
  append_json_string(text, event.channel);
  if (event.bytes) {
    text += fmt::format(",\"bytes\":{}", *event.bytes);
  }
  if (event.unfinished) {
    text += ",\"unfinished\":true";
  } else if (event.has_result) {
    text += event.result < 0 ? fmt::format(",\"result\":\"{}\"", result_text(event.result))
                             : fmt::format(",\"result\":{}", event.result);
  }
  if (!event.detail.empty()) {
    text += ",\"detail\":";
    append_json_string(text, event.detail);
  }
  if (event.peer.pid != 0) {
    text += fmt::format(",\"peer_pid\":{}", event.peer.pid);
  }
  text += "}}";
  out_.write(text);
  if (event.channel.empty() || event.result < 0 || event.unfinished) {
    return;
  }
  if (event.gives) {
    writes_[std::string(event.channel)] = {end, event.time_ns, event.pid, event.tid, false};
    return;
  }
  if (!event.takes) {
    return;
  }
  const auto found = writes_.find(std::string(event.channel));
  if (found == writes_.end() || found->second.used || found->second.tid == event.tid) {
    return;
  }
  // Bound to the slices that they begin and end in; an arrow never points back in time.
  Last& write = found->second;
  write.used = true;
  flows_++;
  separate();
  out_.write(fmt::format(R"({{"ph":"s","id":{},"cat":"flow","name":"{}","pid":{},"tid":{},"ts":)",
                         flows_, event.kind, write.pid, write.tid));
  microseconds(write.begin_ns);
  out_.write("},\n");
  out_.write(
      fmt::format(R"({{"ph":"f","bp":"e","id":{},"cat":"flow","name":"{}","pid":{},"tid":{},"ts":)",
                  flows_, event.kind, event.pid, event.tid));
  microseconds(std::max(event.time_ns, write.begin_ns));
  out_.put('}');
}

void TracePerfetto::lost(uint8_t kind, uint64_t count) {
  separate();
  out_.write(R"({"ph":"i","s":"g","name":"lost events","pid":0,"tid":0,"ts":)");
  microseconds(last_ns_);
  out_.write(fmt::format(R"(,"args":{{"lost":{},"kind":"{}"}}}})", count, trace_word(kind)));
}

void TracePerfetto::end(const TraceTotal& total) {
  out_.write(
      fmt::format("\n],\"metadata\":{{\"events\":{},\"lost\":{}}}}}\n", total.events, total.lost));
}

}  // namespace ipcscope
