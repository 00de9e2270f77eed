// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>

#include <charconv>
#include <ctime>

#include "cli/render/channel_json.h"
#include "cli/render/json.h"
#include "cli/render/text.h"
#include "cli/render/trace.h"

namespace ipcscope {

namespace {

constexpr uint64_t largest_exact = uint64_t{1} << 53;

int64_t clock_ns(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

/// The members that begin each object of ipcscope.
void append_head(std::string& out, const TraceHead& head) {
  out += R"({"schema":"ipcscope/1","command":"trace","host":)";
  append_json_string(out, head.host);
  out += ",\"kernel\":";
  append_json_string(out, head.kernel);
  out += fmt::format(R"(,"time":"{}","boot_ns":{},"clock_offset_ns":"{}")",
                     time_text(clock_ns(CLOCK_REALTIME)), clock_ns(CLOCK_BOOTTIME),
                     head.realtime_offset_ns);
  out += ',';
  Output memory(out);
  Json json(memory);
  write_coverage(json, head.coverage);
  memory.flush();
}

void append_kind(std::string& out, uint8_t kind) {
  const std::string_view word = trace_word(kind);
  out += word.empty() ? std::string("null") : fmt::format("\"{}\"", word);
}

void append_losses(std::string& out, std::span<const TraceLoss> losses) {
  out += '[';
  for (const TraceLoss& loss : losses) {
    out += out.ends_with('[') ? "{\"kind\":" : ",{\"kind\":";
    append_kind(out, loss.kind);
    out += fmt::format(",\"lost\":{}}}", loss.count);
  }
  out += ']';
}

}  // namespace

TraceJson::TraceJson(Output& out, bool payload, FunctionNames functions, bool stacks)
    : out_(out), payload_(payload), stacks_(stacks), functions_(std::move(functions)) {}

void TraceJson::begin(const TraceHead& head) {
  std::string line;
  append_head(line, head);
  out_.write(line);
  out_.write("}\n");
}

const std::string& TraceJson::thread(uint32_t index, int32_t pid, int32_t tid,
                                     std::string_view comm) {
  if (index == UINT32_MAX) {
    unnumbered_.clear();
  } else if (index >= threads_.size()) {
    threads_.resize(size_t{index} + 1);
  }
  std::string& text = index == UINT32_MAX ? unnumbered_ : threads_[index];
  if (text.empty()) {
    text = pid == 0 ? std::string(R"("pid":null,"tid":null,"comm":)")
                    : fmt::format(R"("pid":{},"tid":{},"comm":)", pid, tid);
    if (comm.empty()) {
      text += "null";
    } else if (!append_json_string(text, comm)) {
      text += fmt::format(R"(,"comm_hex":"{}")", hex(comm));
    }
  }
  return text;
}

void TraceJson::number(uint64_t value) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, value);
  const std::string_view text(digits, static_cast<size_t>(end.ptr - digits));
  if (value > largest_exact) {
    out_.put('"');
    out_.write(text);
    out_.put('"');
  } else {
    out_.write(text);
  }
}

void TraceJson::event(const TraceEvent& event) {
  out_.write("{\"time_ns\":");
  number(event.time_ns);
  out_.put(',');
  out_.write(thread(event.thread_index, event.pid, event.tid, event.comm));
  out_.write(",\"operation\":\"");
  out_.write(event.operation);
  out_.write("\",\"kind\":\"");
  out_.write(event.kind);
  out_.write("\",");
  if (event.channel.empty()) {
    out_.write("\"channel\":null");
  } else if (event.channel_index == UINT32_MAX) {
    scratch_ = "\"channel\":";
    append_json_string(scratch_, event.channel);
    out_.write(scratch_);
  } else {
    if (event.channel_index >= channels_.size()) {
      channels_.resize(size_t{event.channel_index} + 1);
    }
    std::string& text = channels_[event.channel_index];
    if (text.empty()) {
      text = "\"channel\":";
      if (!append_json_string(text, event.channel)) {
        text += fmt::format(R"(,"channel_hex":"{}")", hex(event.channel));
      }
    }
    out_.write(text);
  }
  if (event.peer.pid == 0) {
    out_.write(",\"peer\":null");
  } else if (event.peer.thread_index != UINT32_MAX) {
    out_.write(",\"peer\":{");
    out_.write(thread(event.peer.thread_index, event.peer.pid, event.peer.tid, event.peer.comm));
    out_.put('}');
  } else {
    out_.write(",\"peer\":{\"pid\":");
    number(static_cast<uint64_t>(event.peer.pid));
    out_.write(",\"tid\":");
    if (event.peer.tid == 0) {
      out_.write("null");
    } else {
      number(static_cast<uint64_t>(event.peer.tid));
    }
    out_.write(",\"comm\":null}");
  }
  out_.write(",\"bytes\":");
  event.bytes ? number(*event.bytes) : out_.write("null");
  out_.write(",\"duration_ns\":");
  event.duration_ns ? number(*event.duration_ns) : out_.write("null");
  out_.write(",\"result\":");
  if (event.unfinished || !event.has_result) {
    out_.write("null");
  } else if (event.result < 0) {
    out_.put('-');
    number(static_cast<uint64_t>(-event.result));
  } else {
    number(static_cast<uint64_t>(event.result));
  }
  out_.write(event.unfinished ? ",\"unfinished\":true" : ",\"unfinished\":false");
  if (event.detail.empty()) {
    out_.write(",\"detail\":null");
  } else {
    scratch_ = ",\"detail\":";
    append_json_string(scratch_, event.detail);
    out_.write(scratch_);
  }
  if (payload_) {
    scratch_ = ",\"payload\":";
    if (event.payload.empty()) {
      scratch_ += "null";
    } else if (!append_json_string(scratch_, event.payload)) {
      scratch_ += fmt::format(R"(,"payload_hex":"{}")", hex(event.payload));
    }
    out_.write(scratch_);
  }
  if (stacks_) {
    scratch_ = ",\"stack\":[";
    for (const uint64_t address : event.stack) {
      scratch_ += scratch_.ends_with('[') ? "" : ",";
      scratch_ += fmt::format(R"({{"address":"0x{:x}","function":)", address);
      const std::string name = functions_ ? functions_(event.pid, address) : std::string();
      if (name.empty()) {
        scratch_ += "null";
      } else {
        append_json_string(scratch_, name);
      }
      scratch_ += '}';
    }
    scratch_ += ']';
    out_.write(scratch_);
  }
  out_.write("}\n");
}

void TraceJson::lost(uint8_t kind, uint64_t count) {
  std::string line = fmt::format("{{\"lost\":{},\"kind\":", count);
  append_kind(line, kind);
  out_.write(line + "}\n");
}

void TraceJson::end(const TraceTotal& total) {
  std::string line =
      fmt::format(R"({{"total":{{"events":{},"lost":{},"unfinished":{},"undecoded":{},"losses":)",
                  total.events, total.lost, total.unfinished,
                  total.undecoded ? fmt::format("{}", *total.undecoded) : std::string("null"));
  append_losses(line, total.losses);
  out_.write(line + "}}\n");
}

void write_trace_summary_json(Output& out, const TraceHead& head, std::span<const TraceSum> sums,
                              uint64_t window_ns, std::span<const TraceLoss> losses) {
  std::string text;
  append_head(text, head);
  uint64_t lost = 0;
  for (const TraceLoss& loss : losses) {
    lost += loss.count;
  }
  text += fmt::format(R"(,"window_ms":{},"lost":{},"losses":)", window_ns / 1'000'000, lost);
  append_losses(text, losses);
  text += ",\"operations\":[";
  bool first = true;
  for (const TraceSum& each : sums) {
    text += first ? "\n" : ",\n";
    first = false;
    const trace_sum& sum = each.sum;
    text += fmt::format(
        R"({{"kind":"{}","operation":"{}","count":{},"errors":{},"bytes":{},"timed":{},"total_ns":{},"max_ns":{},"histogram":[)",
        trace_word(each.kind), each.call->operation, sum.count, sum.errors,
        each.call->kernel.bytes == BYTES_NONE ? std::string("null") : fmt::format("{}", sum.bytes),
        sum.timed, sum.total_ns, sum.max_ns);
    bool first_step = true;
    for (size_t i = 0; i < TRACE_HISTOGRAM; i++) {
      if (sum.histogram[i] > 0) {
        text += fmt::format(R"({}{{"from_ns":{},"count":{}}})", first_step ? "" : ",",
                            uint64_t{1} << i, sum.histogram[i]);
        first_step = false;
      }
    }
    text += "]}";
  }
  text += "]}\n";
  out.write(text);
}

}  // namespace ipcscope
