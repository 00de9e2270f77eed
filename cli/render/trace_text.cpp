// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>
#include <string.h>

#include <cmath>
#include <ctime>

#include "cli/render/escape.h"
#include "cli/render/table.h"
#include "cli/render/text.h"
#include "cli/render/trace.h"

namespace ipcscope {

namespace {

// What is longer moves the rest of its line.
constexpr TraceWidths wide = {16, 22, 22, 16, 28, 7, 8};
// For a terminal of 80 columns: milliseconds, and the peer behind the result.
constexpr TraceWidths narrow = {12, 16, 0, 10, 20, 5, 6};
constexpr size_t least_wide = 126;

// include/linux/errno.h: what a call returns that is begun again after a signal.
constexpr int64_t first_restart = 512;
constexpr const char* restarts[] = {"ERESTARTSYS", "ERESTARTNOINTR", "ERESTARTNOHAND",
                                    "ENOIOCTLCMD", "ERESTART_RESTARTBLOCK"};

}  // namespace

std::string result_text(int64_t result) {
  if (result >= 0) {
    return fmt::format("{}", result);
  }
  const int64_t number = -result;
  if (number >= first_restart &&
      number < first_restart + static_cast<int64_t>(std::size(restarts))) {
    return restarts[number - first_restart];
  }
  const char* name = number < 4096 ? ::strerrorname_np(static_cast<int>(number)) : nullptr;
  return name != nullptr ? name : fmt::format("{}", result);
}

std::string losses_text(std::span<const TraceLoss> losses) {
  std::string text;
  for (const TraceLoss& loss : losses) {
    const std::string_view word = trace_word(loss.kind);
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", word.empty() ? "unknown" : word,
                        loss.count);
  }
  return text;
}

void append_short_duration(std::string& out, uint64_t ns) {
  const auto scaled = [&](double value, const char* unit) {
    fmt::format_to(std::back_inserter(out), "{:.{}f}{}", value, value < 10 ? 1 : 0, unit);
  };
  if (ns < 1000) {
    fmt::format_to(std::back_inserter(out), "{}ns", ns);
  } else if (ns < 1'000'000) {
    scaled(static_cast<double>(ns) / 1e3, "us");
  } else if (ns < 1'000'000'000) {
    scaled(static_cast<double>(ns) / 1e6, "ms");
  } else {
    fmt::format_to(std::back_inserter(out), "{:.2f}s", static_cast<double>(ns) / 1e9);
  }
}

TraceText::TraceText(Output& out, const Terminal& terminal, FunctionNames functions)
    : out_(out),
      terminal_(terminal),
      functions_(std::move(functions)),
      widths_(terminal.width != 0 && terminal.width < least_wide ? narrow : wide) {}

void TraceText::begin(const TraceHead& head) {
  offset_ = head.realtime_offset_ns;
  std::string line =
      fmt::format("{:<{}} {:<{}} ", "TIME", widths_.time, "PROCESS", widths_.process);
  if (widths_.peer != 0) {
    line += fmt::format("{:<{}} ", "PEER", widths_.peer);
  }
  line += fmt::format("{:<{}} {:<{}} {:>{}} {:>{}} RESULT\n", "OPERATION", widths_.operation,
                      "CHANNEL", widths_.channel, "SIZE", widths_.size, "TOOK", widths_.duration);
  out_.write(line);
}

/// Fills what was appended to the line since from up to width cells, and puts a blank behind it.
void TraceText::append_column(size_t from, size_t width) {
  const size_t used = line_.size() - from;
  const size_t cells = used <= width ? display_width(std::string_view(line_).substr(from)) : used;
  line_.append(cells < width ? width - cells + 1 : 1, ' ');
}

void TraceText::append_time(uint64_t monotonic_ns) {
  const int64_t real = static_cast<int64_t>(monotonic_ns) + offset_;
  const int64_t second = real / 1'000'000'000;
  if (second != second_) {
    second_ = second;
    const auto time = static_cast<time_t>(second);
    tm parts{};
    ::localtime_r(&time, &parts);
    std::strftime(clock_, sizeof clock_, "%H:%M:%S", &parts);
  }
  if (widths_.time == narrow.time) {
    fmt::format_to(std::back_inserter(line_), "{}.{:03}", clock_, real % 1'000'000'000 / 1'000'000);
  } else {
    fmt::format_to(std::back_inserter(line_), "{}.{:06}", clock_, real % 1'000'000'000 / 1000);
  }
}

void TraceText::event(const TraceEvent& event) {
  line_.clear();
  append_time(event.time_ns);
  append_column(0, widths_.time);
  const auto append_process = [&](std::string_view comm, int32_t pid, int32_t tid) {
    if (pid == 0) {
      line_ += '-';
    } else {
      append_escaped(line_, comm, terminal_.escape());
      if (tid != 0 && tid != pid) {
        fmt::format_to(std::back_inserter(line_), "[{}/{}]", pid, tid);
      } else {
        fmt::format_to(std::back_inserter(line_), "[{}]", pid);
      }
    }
  };
  size_t from = line_.size();
  append_process(event.comm, event.pid, event.tid);
  append_column(from, widths_.process);
  if (widths_.peer != 0) {
    from = line_.size();
    append_process(event.peer.comm, event.peer.pid, event.peer.tid);
    append_column(from, widths_.peer);
  }
  from = line_.size();
  line_ += event.operation;
  append_column(from, widths_.operation);
  from = line_.size();
  if (event.channel.empty()) {
    line_ += '-';
  } else {
    append_escaped(line_, event.channel, terminal_.escape());
  }
  append_column(from, widths_.channel);
  std::string cell;
  if (event.bytes) {
    cell = fmt::format("{}", *event.bytes);
  } else {
    cell += '-';
  }
  fmt::format_to(std::back_inserter(line_), "{:>{}} ", cell, widths_.size);
  cell.clear();
  if (event.duration_ns) {
    append_short_duration(cell, *event.duration_ns);
  } else {
    cell += '-';
  }
  fmt::format_to(std::back_inserter(line_), "{:>{}} ", cell, widths_.duration);
  if (event.unfinished) {
    line_ += "unfinished";
  } else if (event.has_result) {
    line_ += result_text(event.result);
  } else {
    line_ += '-';
  }
  if (widths_.peer == 0 && event.peer.pid != 0) {
    line_ += " <> ";
    append_process(event.peer.comm, event.peer.pid, event.peer.tid);
  }
  if (!event.detail.empty()) {
    line_ += ' ';
    append_escaped(line_, event.detail, terminal_.escape());
  }
  if (!event.payload.empty()) {
    line_ += " \"";
    append_escaped(line_, event.payload, {});
    line_ += event.bytes && event.payload.size() < *event.bytes ? "\"..." : "\"";
  }
  line_ += '\n';
  for (const uint64_t address : event.stack) {
    line_ += "    ";
    const std::string name = functions_ ? functions_(event.pid, address) : std::string();
    if (name.empty()) {
      fmt::format_to(std::back_inserter(line_), "0x{:x}", address);
    } else {
      append_escaped(line_, name, terminal_.escape());
    }
    line_ += '\n';
  }
  out_.write(line_);
}

void TraceText::lost(uint8_t kind, uint64_t count) {
  out_.write(fmt::format("-- {}{}{} operation{} lost here\n", count,
                         trace_word(kind).empty() ? "" : " ", trace_word(kind),
                         count == 1 ? "" : "s"));
}

void TraceText::end(const TraceTotal& total) {
  if (total.lost > 0) {
    out_.write(fmt::format("-- {} operations, {} lost in all ({})\n", total.events, total.lost,
                           losses_text(total.losses)));
  }
}

void write_trace_summary(Output& out, const Terminal& terminal, std::span<const TraceSum> sums) {
  Table table({{.heading = "KIND"},
               {.heading = "OPERATION"},
               {.heading = "COUNT", .right = true},
               {.heading = "ERRORS", .right = true},
               {.heading = "BYTES", .right = true},
               {.heading = "TOTAL", .right = true},
               {.heading = "MEAN", .right = true},
               {.heading = "P50", .right = true},
               {.heading = "P99", .right = true},
               {.heading = "MAX", .right = true}},
              Table::Form::aligned, true);
  for (const TraceSum& each : sums) {
    const trace_sum& sum = each.sum;
    const auto duration = [&](uint64_t ns) {
      std::string text;
      append_short_duration(text, ns);
      table.cell(sum.timed > 0 ? text : "-");
    };
    const auto quantile = [&](unsigned hundredths) {
      const uint64_t wanted = (sum.timed * hundredths + 99) / 100;
      uint64_t seen = 0;
      for (unsigned i = 0; i < TRACE_HISTOGRAM; i++) {
        seen += sum.histogram[i];
        if (seen >= wanted) {
          // The middle of its power of two.
          return std::min(sum.max_ns, (uint64_t{3} << i) / 2);
        }
      }
      return sum.max_ns;
    };
    table.cell(trace_word(each.kind));
    table.cell(each.call->operation);
    table.cell(fmt::format("{}", sum.count));
    table.cell(fmt::format("{}", sum.errors));
    table.cell(each.call->kernel.bytes == BYTES_NONE ? std::string("-")
                                                     : fmt::format("{}", sum.bytes));
    duration(sum.total_ns);
    duration(sum.timed == 0 ? 0 : sum.total_ns / sum.timed);
    duration(quantile(50));
    duration(quantile(99));
    duration(sum.max_ns);
  }
  table.print(out, terminal);
}

}  // namespace ipcscope
