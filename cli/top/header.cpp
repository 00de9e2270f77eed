// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/top/header.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "cli/render/escape.h"
#include "cli/render/locks.h"
#include "cli/render/text.h"
#include "cli/report.h"
#include "cli/top/channel_rows.h"
#include "collectors/model/duration.h"

namespace ipcscope {

namespace {

struct Item {
  std::string text;
  Style style = Style::plain;
};

/// As many of the items as fit, from the first on.
Line line_of(const std::vector<Item>& items, size_t width) {
  constexpr std::string_view gap = "  ";
  Line line;
  size_t used = 0;
  for (const Item& each : items) {
    if (each.text.empty()) {
      continue;
    }
    const size_t needed = display_width(each.text) + (used > 0 ? gap.size() : 0);
    if (width != 0 && used > 0 && used + needed > width) {
      continue;
    }
    line.add(used > 0 ? gap : "");
    line.add(each.text, each.style);
    used += needed;
  }
  return width != 0 ? cut(line, width) : line;
}

std::string uptime_text(uint64_t seconds) {
  const uint64_t days = seconds / 86400;
  const uint64_t hours = seconds / 3600 % 24;
  const uint64_t minutes = seconds / 60 % 60;
  return days > 0 ? fmt::format("up {}d {:02}:{:02}", days, hours, minutes)
                  : fmt::format("up {}:{:02}", hours, minutes);
}

std::string load_text(const HostLoad& host) {
  return host.averages ? fmt::format("load {:.2f} {:.2f} {:.2f}", (*host.averages)[0],
                                     (*host.averages)[1], (*host.averages)[2])
                       : std::string();
}

std::string pressure_text(const HostLoad& host) {
  if (!host.cpu_pressure && !host.memory_pressure && !host.io_pressure) {
    return "pressure -";
  }
  std::string text = "pressure";
  const auto add = [&](std::string_view name, const std::optional<double>& value) {
    fmt::format_to(std::back_inserter(text), " {} {}", name,
                   value ? fmt::format("{:.1f}%", *value) : "-");
  };
  add("cpu", host.cpu_pressure);
  add("memory", host.memory_pressure);
  add("io", host.io_pressure);
  return text;
}

std::string self_text(const TopFrame& frame) {
  std::string memory;
  append_bytes(memory, frame.self.rss_bytes);
  return fmt::format("ipcscope {} CPU, {}",
                     frame.self.cpu_percent ? fmt::format("{:.1f}%", *frame.self.cpu_percent) : "-",
                     memory);
}

std::string age_text(const TopFrame& frame) {
  std::string text = "looked ";
  // Tenths would only flicker.
  constexpr uint64_t second_ns = 1'000'000'000;
  if (frame.snapshot_age_ns < second_ns) {
    return text + "just now";
  }
  append_duration(text, frame.snapshot_age_ns / second_ns * 1000);
  return text + " ago";
}

std::string coverage_text(const TopFrame& frame) {
  const auto partial =
      std::count_if(frame.coverage.begin(), frame.coverage.end(),
                    [](const Coverage& each) { return each.state != Coverage::State::full; });
  return partial == 0 ? std::string("coverage complete")
                      : fmt::format("coverage {} of {} partial", partial, frame.coverage.size());
}

Style findings_style(const TopFrame& frame) {
  return frame.count(Severity::critical) > 0  ? Style::alarm
         : frame.count(Severity::warning) > 0 ? Style::warning
                                              : Style::plain;
}

std::string threads_text(uint64_t count) {
  return fmt::format("{} thread{}", grouped(count), count == 1 ? "" : "s");
}

/// "blocked 35 threads, 3 in the way: epoll 12, pipe 9 ..."
std::vector<Item> blocked_items(const TopFrame& frame) {
  const Blocked& blocked = frame.whole->blocked;
  std::vector<Item> items = {{fmt::format("blocked {}", threads_text(blocked.threads))},
                             {fmt::format("{} in the way", grouped(blocked.in_the_way)),
                              blocked.in_the_way > 0 ? Style::bold : Style::plain}};
  for (const BlockedKind& each : blocked.by_kind) {
    items.push_back({fmt::format("{} {}", kind_name(each.kind), grouped(each.threads))});
  }
  return items;
}

}  // namespace

std::string findings_text(const TopFrame& frame) {
  if (!frame.findings_ns) {
    return "findings -";
  }
  std::string text;
  for (const Severity severity : {Severity::critical, Severity::warning, Severity::info}) {
    if (const size_t count = frame.count(severity); count > 0) {
      text += text.empty() ? "findings " : ", ";
      text += fmt::format("{} {}", count, severity_name(severity));
    }
  }
  return text.empty() ? "findings none" : text;
}

std::string moved_text(const TopFrame& frame) {
  if (frame.activity == nullptr) {
    return "moved -";
  }
  uint64_t reads = 0, writes = 0, read_bytes = 0, written_bytes = 0;
  for (const ChannelActivity& each : frame.activity->channels) {
    reads += each.reads;
    writes += each.writes;
    read_bytes += each.read_bytes;
    written_bytes += each.written_bytes;
  }
  const Rates rates = rates_of(reads, writes, read_bytes, written_bytes, frame.activity->window_ns);
  return fmt::format("moved {} reads/s {}B/s, {} writes/s {}B/s", rate_text(rates.reads),
                     bytes_rate_text(rates.read_bytes), rate_text(rates.writes),
                     bytes_rate_text(rates.written_bytes));
}

std::vector<Line> header_lines(const TopFrame& frame, size_t count, size_t width, bool utf8) {
  const Item host = {escaped(frame.snapshot().host, {.utf8 = utf8, .blanks = false}), Style::bold};
  const Item uptime = {frame.host.uptime_s ? uptime_text(*frame.host.uptime_s) : std::string()};
  const Item load = {load_text(frame.host)};
  const Item pressure = {pressure_text(frame.host)};
  const Item findings = {findings_text(frame), findings_style(frame)};
  const Item moved = {moved_text(frame)};
  const Item self = {self_text(frame)};
  const uint64_t lost_count = frame.lost();
  const Item lost = {fmt::format("lost {}", grouped(lost_count)),
                     lost_count > 0 ? Style::warning : Style::plain};
  const Item age = {age_text(frame)};
  const Item coverage = {coverage_text(frame),
                         is_complete(frame.coverage) ? Style::plain : Style::warning};
  const std::vector<Item> blocked = blocked_items(frame);
  if (count >= 4) {
    return {line_of({host, uptime, load, pressure}, width), line_of(blocked, width),
            line_of({findings, moved}, width), line_of({self, lost, age, coverage}, width)};
  }
  if (count >= 2) {
    std::vector<Item> second = blocked;
    second.insert(second.begin() + 2, {self, moved});
    return {line_of({host, findings, coverage, load}, width), line_of(second, width)};
  }
  return {line_of({host, findings, blocked[0], blocked[1], self}, width)};
}

}  // namespace ipcscope
