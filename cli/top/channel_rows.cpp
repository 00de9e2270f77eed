// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/top/channel_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "analysis/wait_words.h"
#include "cli/render/columns.h"
#include "cli/render/text.h"
#include "cli/render/who.h"

namespace ipcscope {

namespace {

constexpr unsigned nearly_full = 80;  // percent, as in ls
constexpr uint64_t long_wait_ms = 60'000;
constexpr size_t bar_width = 9;

enum Column : size_t {
  column_state,
  column_id,
  column_reads,
  column_writes,
  column_read_bytes,
  column_written_bytes,
  column_fill,
  column_waiters,
  column_longest,
  column_who,
};

constexpr RowColumn columns[] = {
    {"state", "jammed, blocked, full, near, busy; sorted: what to look at first", 7, 0},
    {.name = "id",
     .help = "identifier, to be pasted into any command",
     .width = 13,
     .drop = 0,
     .flexible = true,
     .cut_inside = true,
     .rising = true},
    {"rd/s", "reads and receives a second", 5, 9, true},
    {"wr/s", "writes and sends a second", 5, 8, true},
    {"rbyt/s", "bytes that are read a second", 6, 7, true},
    {"wbyt/s", "bytes that are written a second", 6, 6, true},
    {"fill", "what is queued, in hundredths of the capacity", bar_width, 1},
    {"wait", "threads that wait there, idle ones too", 4, 5, true},
    {"since", "how long the longest wait has lasted", 6, 2, true},
    {.name = "who",
     .help = "writers -> readers, one end <-> the other",
     .width = 12,
     .drop = 4,
     .flexible = true,
     .cut_inside = true,
     .rising = true},
};

void find_waits(const Snapshot& snapshot, const Channel& channel, ChannelRow& row) {
  const std::span<const uint32_t> waits = snapshot.waits_at(channel);
  row.waiters = static_cast<uint32_t>(waits.size());
  for (const uint32_t index : waits) {
    const Wait& wait = snapshot.waits[index];
    const Since blocked = since(snapshot.threads[wait.thread]);
    if (blocked.milliseconds.value_or(0) >= row.longest_ms.value_or(0) && blocked.milliseconds) {
      row.longest_ms = blocked.milliseconds;
      row.exact = blocked.exact;
    }
    if (waits_for_room(wait)) {
      row.state = ChannelState::jammed;
    } else if (wants_progress(snapshot, wait)) {
      row.state = std::max(row.state, ChannelState::blocked);
    }
  }
}

ChannelState state_of_fill(std::optional<unsigned> percent) {
  return !percent || *percent < nearly_full ? ChannelState::quiet
         : *percent < 100                   ? ChannelState::near
                                            : ChannelState::full;
}

/// A listener's capacity is its backlog, a semaphore's none at all; 0 of 0 is not full.
std::optional<unsigned> percent_of(const Channel& channel) {
  const bool empty =
      channel.capacity_bytes.value_or(1) == 0 || channel.capacity_messages.value_or(1) == 0;
  return empty ? std::nullopt : fullness(channel);
}

class ChannelRows : public Rows {
 public:
  ChannelRows(const Frame& frame, EscapeStyle style)
      : frame_(frame),
        snapshot_(*frame.snapshot),
        rows_(channel_rows(frame)),
        who_(*frame.snapshot, style) {}

  [[nodiscard]] std::span<const RowColumn> columns() const override { return channel_columns(); }
  [[nodiscard]] size_t size() const override { return rows_.size(); }
  [[nodiscard]] std::string identity(size_t row) const override { return std::string(id(row)); }
  [[nodiscard]] Cell cell(size_t row, size_t column) override;
  [[nodiscard]] int compare(size_t a, size_t b, size_t column) const override;
  [[nodiscard]] std::string text(size_t row) override;
  [[nodiscard]] std::optional<Kind> kind(size_t row) const override;
  [[nodiscard]] std::vector<int32_t> pids(size_t row) const override;

 private:
  [[nodiscard]] const Channel* channel(size_t row) const {
    const ChannelIndex index = rows_[row].channel;
    return index != no_index ? &snapshot_.channels[index] : nullptr;
  }
  [[nodiscard]] const ChannelActivity* activity(size_t row) const {
    const uint32_t index = rows_[row].activity;
    return index != no_index ? &frame_.activity->channels[index] : nullptr;
  }
  [[nodiscard]] std::string_view id(size_t row) const {
    const Channel* found = channel(row);
    return found != nullptr ? found->id : std::string_view(activity(row)->id);
  }
  void append_who(std::string& out, size_t row);

  const Frame& frame_;
  const Snapshot& snapshot_;
  std::vector<ChannelRow> rows_;
  Who who_;
};

Style style_of(ChannelState state) {
  return state == ChannelState::jammed                                   ? Style::alarm
         : state == ChannelState::blocked || state == ChannelState::full ? Style::warning
                                                                         : Style::plain;
}

/// Of a channel that the snapshot does not have, those that were seen at work.
void ChannelRows::append_who(std::string& out, size_t row) {
  constexpr size_t most = 2;
  if (const Channel* found = channel(row)) {
    who_.append_who(out, *found);
    if (found->kind == Kind::unix_socket && !found->name.empty()) {
      out += out.empty() ? "(" : " (";
      append_escaped(out, found->name, who_.style());
      out += ')';
    }
    return;
  }
  const std::vector<int32_t>& pids = activity(row)->pids;
  for (size_t i = 0; i < std::min(pids.size(), most); i++) {
    const auto& processes = frame_.activity->processes;
    const auto process = std::find_if(processes.begin(), processes.end(),
                                      [&](const auto& each) { return each.pid == pids[i]; });
    out += i > 0 ? "," : "";
    if (process != processes.end()) {
      append_escaped(out, process->comm, who_.style());
    }
    fmt::format_to(std::back_inserter(out), "[{}]", pids[i]);
  }
  if (pids.size() > most) {
    fmt::format_to(std::back_inserter(out), "+{}", pids.size() - most);
  }
}

Cell ChannelRows::cell(size_t row, size_t column) {
  const ChannelRow& of = rows_[row];
  const auto rate = [&](double Rates::*which) {
    return of.rates ? std::optional(*of.rates.*which) : std::nullopt;
  };
  switch (column) {
    case column_state:
      return {std::string(channel_state_name(of.state)), style_of(of.state)};
    case column_id:
      return {escaped(id(row), who_.style()), Style::plain};
    case column_reads:
      return {rate_text(rate(&Rates::reads)), Style::plain};
    case column_writes:
      return {rate_text(rate(&Rates::writes)), Style::plain};
    case column_read_bytes:
      return {bytes_rate_text(rate(&Rates::read_bytes)), Style::plain};
    case column_written_bytes:
      return {bytes_rate_text(rate(&Rates::written_bytes)), Style::plain};
    case column_fill: {
      const ChannelState fill = state_of_fill(of.percent);
      return {bar_text(of.percent, bar_width), fill == ChannelState::full   ? Style::alarm
                                               : fill == ChannelState::near ? Style::warning
                                                                            : Style::plain};
    }
    case column_waiters:
      return {channel(row) != nullptr ? std::to_string(of.waiters) : "-", Style::plain};
    case column_longest: {
      std::string text;
      append_since(text, {of.longest_ms, of.exact}, who_.style().utf8);
      return {std::move(text),
              of.state >= ChannelState::blocked && of.longest_ms.value_or(0) >= long_wait_ms
                  ? Style::bold
                  : Style::plain};
    }
    default: {
      std::string text;
      append_who(text, row);
      return {std::move(text), Style::plain};
    }
  }
}

int ChannelRows::compare(size_t first, size_t second, size_t column) const {
  const ChannelRow& a = rows_[first];
  const ChannelRow& b = rows_[second];
  const auto by = [&](double Rates::*which) {
    const auto value = [&](const ChannelRow& row) { return row.rates ? *row.rates.*which : -1; };
    return falling(value(a), value(b));
  };
  switch (column) {
    case column_id:
      return rising(id(first), id(second));
    case column_reads:
      return by(&Rates::reads);
    case column_writes:
      return by(&Rates::writes);
    case column_read_bytes:
      return by(&Rates::read_bytes);
    case column_written_bytes:
      return by(&Rates::written_bytes);
    case column_fill:
      return falling(a.percent, b.percent);
    case column_waiters:
      return falling(a.waiters, b.waiters);
    case column_longest:
      return falling(a.longest_ms, b.longest_ms);
    case column_who: {
      const auto front = [&](size_t row) {
        const std::vector<int32_t> all = pids(row);
        const Process* process = all.empty() ? nullptr : snapshot_.process(all.front());
        return process != nullptr ? process->command() : std::string_view();
      };
      return rising(front(first), front(second));
    }
    default:
      break;
  }
  // Of what is as urgent, what has waited longest, or is busiest.
  if (a.state != b.state) {
    return falling(a.state, b.state);
  }
  if (a.state == ChannelState::jammed || a.state == ChannelState::blocked) {
    if (const int order = falling(a.longest_ms, b.longest_ms); order != 0) {
      return order;
    }
  }
  const auto busy = [](const ChannelRow& row) { return row.rates ? row.rates->operations() : 0; };
  if (const int order = falling(busy(a), busy(b)); order != 0) {
    return order;
  }
  return falling(a.percent.value_or(0), b.percent.value_or(0));
}

std::string ChannelRows::text(size_t row) {
  std::string text = escaped(id(row), who_.style()) + ' ';
  const Channel* of = channel(row);
  if (of == nullptr) {
    append_who(text, row);
    return text;
  }
  append_escaped(text, of->name, who_.style());
  const Sides& sides = who_.sides(*of);
  for (const auto* side : {&sides.left, &sides.right, &sides.around}) {
    text += ' ';
    who_.append_all(text, *side);
  }
  for (const uint32_t wait : snapshot_.waits_at(*of)) {
    text += ' ';
    text += who_.label(snapshot_.threads[snapshot_.waits[wait].thread]);
  }
  text += ' ';
  text += channel_state_name(rows_[row].state);
  return text;
}

std::optional<Kind> ChannelRows::kind(size_t row) const {
  const Channel* of = channel(row);
  return of != nullptr ? of->kind : activity(row)->kind;
}

std::vector<int32_t> ChannelRows::pids(size_t row) const {
  const Channel* of = channel(row);
  if (of == nullptr) {
    return activity(row)->pids;
  }
  std::vector<int32_t> found;
  const auto add = [&](ProcessIndex process) {
    if (process != no_index) {
      found.push_back(snapshot_.processes[process].pid);
    }
  };
  for (const Endpoint& endpoint : snapshot_.endpoints_of(*of)) {
    add(endpoint.process);
  }
  for (const uint32_t wait : snapshot_.waits_at(*of)) {
    add(snapshot_.threads[snapshot_.waits[wait].thread].process);
  }
  return found;
}

}  // namespace

std::string_view channel_state_name(ChannelState state) {
  switch (state) {
    case ChannelState::quiet:
      return "";
    case ChannelState::busy:
      return "busy";
    case ChannelState::near:
      return "near";
    case ChannelState::full:
      return "full";
    case ChannelState::blocked:
      return "blocked";
    case ChannelState::jammed:
      return "jammed";
  }
  return "";
}

bool has_rates(Kind kind) {
  return kind != Kind::shm && kind != Kind::posixshm && kind != Kind::memfd && kind != Kind::mmap &&
         kind != Kind::lease && kind != Kind::pidfd && kind != Kind::count;
}

Rates rates_of(uint64_t reads, uint64_t writes, uint64_t read_bytes, uint64_t written_bytes,
               uint64_t window_ns) {
  const double seconds = static_cast<double>(std::max<uint64_t>(window_ns, 1)) / 1e9;
  const auto rate = [&](uint64_t count) { return static_cast<double>(count) / seconds; };
  return {rate(reads), rate(writes), rate(read_bytes), rate(written_bytes)};
}

std::vector<ChannelRow> channel_rows(const Frame& frame) {
  const Snapshot& snapshot = *frame.snapshot;
  std::vector<ChannelRow> rows(snapshot.channels.size());
  for (ChannelIndex i = 0; i < rows.size(); i++) {
    const Channel& channel = snapshot.channels[i];
    ChannelRow& row = rows[i];
    row.channel = i;
    row.percent = percent_of(channel);
    row.state = state_of_fill(row.percent);
    if (channel.wait_count != 0) {
      find_waits(snapshot, channel, row);
    }
    if (frame.activity != nullptr && has_rates(channel.kind)) {
      row.rates.emplace();
    }
  }
  if (frame.activity == nullptr) {
    return rows;
  }
  const std::vector<ChannelActivity>& active = frame.activity->channels;
  for (uint32_t i = 0; i < active.size(); i++) {
    const ChannelIndex index = frame.ids->find(active[i].id);
    if (index == no_index) {
      rows.emplace_back();
    }
    ChannelRow& row = index != no_index ? rows[index] : rows.back();
    row.activity = i;
    row.rates = rates_of(active[i].reads, active[i].writes, active[i].read_bytes,
                         active[i].written_bytes, frame.activity->window_ns);
    if (row.rates->operations() > 0) {
      row.state = std::max(row.state, ChannelState::busy);
    }
  }
  return rows;
}

std::span<const RowColumn> channel_columns() { return columns; }

std::unique_ptr<Rows> make_channel_rows(const Frame& frame, EscapeStyle style) {
  return std::make_unique<ChannelRows>(frame, style);
}

}  // namespace ipcscope
