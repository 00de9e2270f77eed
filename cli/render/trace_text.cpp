// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>
#include <string.h>

#include <algorithm>
#include <ctime>
#include <iterator>
#include <utility>
#include <vector>

#include "cli/render/escape.h"
#include "cli/render/table.h"
#include "cli/render/text.h"
#include "cli/render/trace.h"

namespace ipcscope {

namespace {

constexpr TraceWidths wide = {16, 22, 22, 16, 28, 7, 8, false};
/// For a terminal that has at least so many cells.
struct Layout {
  size_t least;
  TraceWidths widths;
};
// With less room: milliseconds, and the peer behind the result; then no sizes and no threads; then
// no times.
constexpr Layout layouts[] = {{132, wide},
                              {80, {12, 16, 0, 10, 19, 5, 6, true}},
                              {60, {8, 13, 0, 10, 13, 0, 5, true}},
                              {0, {0, 10, 0, 10, 11, 0, 0, true}}};

TraceWidths widths_for(size_t cells) {
  if (cells == 0) {
    return wide;
  }
  return std::find_if(std::begin(layouts), std::end(layouts),
                      [&](const Layout& each) { return cells >= each.least; })
      ->widths;
}

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
      widths_(widths_for(terminal.width)) {}

void TraceText::begin(const TraceHead& head) {
  offset_ = head.realtime_offset_ns;
  std::string line;
  const auto column = [&](const char* heading, size_t width, bool right) {
    if (width != 0) {
      line +=
          right ? fmt::format("{:>{}} ", heading, width) : fmt::format("{:<{}} ", heading, width);
    }
  };
  column("TIME", widths_.time, false);
  column("PROCESS", widths_.process, false);
  column("PEER", widths_.peer, false);
  column("OPERATION", widths_.operation, false);
  column("CHANNEL", widths_.channel, false);
  column("SIZE", widths_.size, true);
  column("TOOK", widths_.duration, true);
  out_.write(line + "RESULT\n");
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
  if (widths_.time < 12) {
    line_ += clock_;
  } else if (widths_.time < wide.time) {
    fmt::format_to(std::back_inserter(line_), "{}.{:03}", clock_, real % 1'000'000'000 / 1'000'000);
  } else {
    fmt::format_to(std::back_inserter(line_), "{}.{:06}", clock_, real % 1'000'000'000 / 1000);
  }
}

/// width: 0 when nothing is to be shortened.
void TraceText::append_process(std::string_view comm, int32_t pid, int32_t tid, size_t width) {
  if (pid == 0) {
    line_ += '-';
    return;
  }
  const std::string number = tid != 0 && tid != pid && widths_.size != 0
                                 ? fmt::format("[{}/{}]", pid, tid)
                                 : fmt::format("[{}]", pid);
  if (width == 0) {
    append_escaped(line_, comm, terminal_.escape());
  } else {
    const size_t left = width > number.size() ? width - number.size() : 1;
    line_ += shortened(escaped(comm, terminal_.escape()), left, false, terminal_.utf8);
  }
  line_ += number;
}

void TraceText::event(const TraceEvent& event) {
  line_.clear();
  if (widths_.time != 0) {
    append_time(event.time_ns);
    append_column(0, widths_.time);
  }
  size_t from = line_.size();
  append_process(event.comm, event.pid, event.tid, widths_.shortens ? widths_.process : 0);
  append_column(from, widths_.process);
  if (widths_.peer != 0) {
    from = line_.size();
    append_process(event.peer.comm, event.peer.pid, event.peer.tid, 0);
    append_column(from, widths_.peer);
  }
  from = line_.size();
  if (widths_.shortens) {
    line_ += shortened(event.operation, widths_.operation, false, terminal_.utf8);
  } else {
    line_ += event.operation;
  }
  append_column(from, widths_.operation);
  from = line_.size();
  if (event.channel.empty()) {
    line_ += '-';
  } else if (widths_.shortens) {
    line_ += shortened(escaped(event.channel, terminal_.escape()), widths_.channel, true,
                       terminal_.utf8);
  } else {
    append_escaped(line_, event.channel, terminal_.escape());
  }
  append_column(from, widths_.channel);
  std::string cell;
  if (widths_.size != 0) {
    cell = event.bytes ? fmt::format("{}", *event.bytes) : std::string("-");
    fmt::format_to(std::back_inserter(line_), "{:>{}} ", cell, widths_.size);
  }
  if (widths_.duration != 0) {
    cell.clear();
    if (event.duration_ns) {
      append_short_duration(cell, *event.duration_ns);
    } else {
      cell += '-';
    }
    fmt::format_to(std::back_inserter(line_), "{:>{}} ", cell, widths_.duration);
  }
  if (event.unfinished) {
    line_ += "unfinished";
  } else if (event.has_result) {
    line_ += result_text(event.result);
  } else {
    line_ += '-';
  }
  const size_t rest = line_.size();
  if (widths_.peer == 0 && event.peer.pid != 0) {
    line_ += " <> ";
    append_process(event.peer.comm, event.peer.pid, event.peer.tid,
                   widths_.shortens ? widths_.process : 0);
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
  if (widths_.shortens && display_width(line_) > terminal_.width) {
    line_.insert(rest, "\n ");  // on a line of its own, of which each has a blank in front
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
  // With how many cells a column is there: rather few of them than each a letter wide.
  constexpr size_t always = 0;
  constexpr size_t some = 60;
  constexpr size_t all = 80;
  const auto has = [&](size_t least) { return terminal.width == 0 || terminal.width >= least; };
  std::vector<TableColumn> columns = {{.heading = "KIND"}, {.heading = "OPERATION"}};
  const auto column = [&](const char* heading, size_t least) {
    if (has(least)) {
      columns.push_back({.heading = heading, .right = true});
    }
  };
  column("COUNT", always);
  column("ERRORS", some);
  column("BYTES", all);
  column("TOTAL", all);
  column("MEAN", always);
  column("P50", all);
  column("P99", some);
  column("MAX", all);
  Table table(std::move(columns), Table::Form::aligned, true);
  for (const TraceSum& each : sums) {
    const trace_sum& sum = each.sum;
    const auto cell = [&](size_t least, const std::string& text) {
      if (has(least)) {
        table.cell(text);
      }
    };
    const auto duration = [&](size_t least, uint64_t ns) {
      std::string text;
      append_short_duration(text, ns);
      cell(least, sum.timed > 0 ? text : "-");
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
    cell(always, fmt::format("{}", sum.count));
    cell(some, fmt::format("{}", sum.errors));
    cell(all, each.call->kernel.bytes == BYTES_NONE ? "-" : fmt::format("{}", sum.bytes));
    duration(all, sum.total_ns);
    duration(always, sum.timed == 0 ? 0 : sum.total_ns / sum.timed);
    duration(all, quantile(50));
    duration(some, quantile(99));
    duration(all, sum.max_ns);
  }
  table.print(out, terminal);
}

}  // namespace ipcscope
