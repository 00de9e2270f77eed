// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/top/channel_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

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
    {"wr/s", "writes and sends a second", 5, 9, true},
    {"rbyt/s", "bytes that are read a second", 6, 7, true},
    {"wbyt/s", "bytes that are written a second", 6, 7, true},
    {"fill", "what is queued, in hundredths of the capacity", bar_width, 1},
    {"wait", "threads that wait there, idle ones too", 4, 5, true},
    {"since", "how long the longest wait has lasted", 6, 2, true},
    {.name = "who",
     .help = "writers -> readers, one end <-> the other",
     .width = 12,
     .drop = 4,
     .flexible = true,
     .cut_inside = true,
     .rising = true,
     .share = 3},
};

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

void add_wait(const Snapshot& snapshot, const Wait& wait, ChannelRow& row) {
  const Since blocked = since(snapshot.threads[wait.thread]);
  row.waiters++;
  if (blocked.milliseconds && *blocked.milliseconds >= row.longest_ms.value_or(0)) {
    row.longest_ms = blocked.milliseconds;
    row.exact = blocked.exact;
  }
  if (waits_for_room(wait)) {
    row.state = ChannelState::jammed;
  } else if (wants_progress(snapshot, wait)) {
    row.state = std::max(row.state, ChannelState::blocked);
  }
}

/// A channel by what one snapshot tells of it.
ChannelRow row_of(const Snapshot& snapshot, ChannelIndex index) {
  const Channel& channel = snapshot.channels[index];
  ChannelRow row;
  row.channel = index;
  row.percent = percent_of(channel);
  row.state = state_of_fill(row.percent);
  for (const uint32_t wait : snapshot.waits_at(channel)) {
    add_wait(snapshot, snapshot.waits[wait], row);
  }
  return row;
}

/// The waits of processes that the look does not have are as they were.
void add_other_waits(const Snapshot& whole, ChannelIndex index, const Snapshot& look,
                     ChannelRow& row) {
  for (const uint32_t wait : whole.waits_at(whole.channels[index])) {
    const Thread& thread = whole.threads[whole.waits[wait].thread];
    if (look.process(whole.processes[thread.process].pid) == nullptr) {
      add_wait(whole, whole.waits[wait], row);
    }
  }
}

bool differs(const ChannelRow& a, const ChannelRow& b) {
  return a.state != b.state || a.percent != b.percent || a.waiters != b.waiters ||
         a.longest_ms != b.longest_ms;
}

class ChannelRows : public Rows {
 public:
  ChannelRows(const TopFrame& frame, EscapeStyle style, bool changes = true)
      : frame_(frame), table_(frame, changes), who_(frame.snapshot(), style) {}

  [[nodiscard]] std::span<const RowColumn> columns() const override { return channel_columns(); }
  [[nodiscard]] size_t size() const override { return table_.size(); }
  [[nodiscard]] std::string identity(size_t row) const override {
    return std::string(table_.id(row));
  }
  [[nodiscard]] uint32_t find(std::string_view identity) const override {
    return table_.find(identity);
  }
  [[nodiscard]] Cell cell(size_t row, size_t column) override;
  [[nodiscard]] int compare(size_t a, size_t b, size_t column) const override;
  [[nodiscard]] std::string text(size_t row) override;
  [[nodiscard]] std::optional<Kind> kind(size_t row) const override { return table_.kind(row); }
  [[nodiscard]] std::vector<int32_t> pids(size_t row) const override;
  [[nodiscard]] Rows* settled() override {
    if (settled_ == nullptr) {
      settled_ = std::make_unique<ChannelRows>(frame_, who_.style(), false);
    }
    return settled_.get();
  }
  [[nodiscard]] uint64_t settled_key() const override {
    return frame_.whole->revision * 2 + (table_.is_measured() ? 1 : 0);
  }
  [[nodiscard]] std::vector<uint32_t> changing() const override { return table_.changing(); }

 private:
  void append_who(std::string& out, size_t row);
  void append_active(std::string& out, const ChannelActivity& activity);
  /// Ends in a younger snapshot than the whole, of which who_ knows nothing.
  void append_young(std::string& out, const ChannelPlace& ends);

  const TopFrame& frame_;
  ChannelTable table_;
  Who who_;
  std::unique_ptr<ChannelRows> settled_;
};

Style style_of(ChannelState state) {
  return state == ChannelState::jammed                                   ? Style::alarm
         : state == ChannelState::blocked || state == ChannelState::full ? Style::warning
                                                                         : Style::plain;
}

/// Of a channel that no snapshot has, those that were seen at work.
void ChannelRows::append_active(std::string& out, const ChannelActivity& activity) {
  constexpr size_t most = 2;
  const std::vector<int32_t>& pids = activity.pids;
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

void ChannelRows::append_young(std::string& out, const ChannelPlace& ends) {
  Who who(*ends.snapshot, who_.style());
  who.append_who(out, *ends);
}

void ChannelRows::append_who(std::string& out, size_t row) {
  const ChannelPlace ends = table_.ends(row);
  if (!ends) {
    append_active(out, *table_.activity(row));
    return;
  }
  if (ends.snapshot == &frame_.snapshot()) {
    who_.append_who(out, *ends);
  } else {
    append_young(out, ends);
  }
  const Channel& channel = *ends;
  if (channel.kind == Kind::unix_socket && !channel.name.empty()) {
    out += out.empty() ? "(" : " (";
    append_escaped(out, channel.name, who_.style());
    out += ')';
  }
}

Cell ChannelRows::cell(size_t row, size_t column) {
  const ChannelRow of = table_.row(row);
  const auto rate = [&](double Rates::*which) {
    return of.rates ? std::optional(*of.rates.*which) : std::nullopt;
  };
  switch (column) {
    case column_state:
      return {std::string(channel_state_name(of.state)), style_of(of.state)};
    case column_id:
      return {escaped(table_.id(row), who_.style()), Style::plain};
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
      return {of.channel != no_index ? std::to_string(of.waiters) : "-", Style::plain};
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
  const ChannelRow a = table_.row(first);
  const ChannelRow b = table_.row(second);
  const auto by = [&](double Rates::*which) {
    const auto value = [&](const ChannelRow& row) { return row.rates ? *row.rates.*which : -1; };
    return falling(value(a), value(b));
  };
  switch (column) {
    case column_id:
      return rising(table_.id(first), table_.id(second));
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
        const Process* process = all.empty() ? nullptr : frame_.snapshot().process(all.front());
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
  std::string text = escaped(table_.id(row), who_.style()) + ' ';
  text += channel_state_name(table_.row(row).state);
  text += ' ';
  const ChannelPlace ends = table_.ends(row);
  if (!ends || ends.snapshot != &frame_.snapshot()) {
    append_who(text, row);
    return text;
  }
  const Channel& channel = *ends;
  append_escaped(text, channel.name, who_.style());
  const Sides& sides = who_.sides(channel);
  for (const auto* side : {&sides.left, &sides.right, &sides.around}) {
    text += ' ';
    who_.append_all(text, *side);
  }
  for (const uint32_t wait : ends.snapshot->waits_at(channel)) {
    text += ' ';
    text += who_.label(ends.snapshot->threads[ends.snapshot->waits[wait].thread]);
  }
  return text;
}

std::vector<int32_t> ChannelRows::pids(size_t row) const {
  const ChannelPlace ends = table_.ends(row);
  if (!ends) {
    return table_.activity(row)->pids;
  }
  const Snapshot& snapshot = *ends.snapshot;
  std::vector<int32_t> found;
  const auto add = [&](ProcessIndex process) {
    if (process != no_index) {
      found.push_back(snapshot.processes[process].pid);
    }
  };
  for (const Endpoint& endpoint : snapshot.endpoints_of(*ends)) {
    add(endpoint.process);
  }
  for (const uint32_t wait : snapshot.waits_at(*ends)) {
    add(snapshot.threads[snapshot.waits[wait].thread].process);
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
  switch (kind) {
    case Kind::shm:
    case Kind::posixshm:
    case Kind::memfd:
    case Kind::mmap:
    case Kind::futex:
    case Kind::posixsem:
    case Kind::flock:
    case Kind::fcntl:
    case Kind::ofd:
    case Kind::lease:
    case Kind::epoll:
    case Kind::pidfd:
    case Kind::io_uring:
    case Kind::count:
      return false;
    default:
      return true;
  }
}

Rates rates_of(uint64_t reads, uint64_t writes, uint64_t read_bytes, uint64_t written_bytes,
               uint64_t window_ns) {
  const double seconds = static_cast<double>(std::max<uint64_t>(window_ns, 1)) / 1e9;
  const auto rate = [&](uint64_t count) { return static_cast<double>(count) / seconds; };
  return {rate(reads), rate(writes), rate(read_bytes), rate(written_bytes)};
}

std::shared_ptr<const WholeRows> make_whole_rows(std::shared_ptr<const Sight> sight,
                                                 uint64_t revision) {
  auto whole = std::make_shared<WholeRows>();
  const Snapshot& snapshot = sight->snapshot;
  whole->revision = revision;
  whole->rows.reserve(snapshot.channels.size());
  for (ChannelIndex i = 0; i < snapshot.channels.size(); i++) {
    whole->rows.push_back(row_of(snapshot, i));
  }
  whole->blocked = count_blocked(snapshot);
  whole->sight = std::move(sight);
  return whole;
}

std::shared_ptr<const LookRows> make_look_rows(const WholeRows& whole,
                                               std::shared_ptr<const Sight> look) {
  auto made = std::make_shared<LookRows>();
  const Snapshot& snapshot = look->snapshot;
  for (ChannelIndex i = 0; i < snapshot.channels.size(); i++) {
    ChannelRow row = row_of(snapshot, i);
    const ChannelIndex old = whole.sight->find(snapshot.channels[i].id);
    if (old != no_index) {
      add_other_waits(whole.sight->snapshot, old, snapshot, row);
    }
    if (old == no_index || differs(row, whole.rows[old])) {
      made->rows.push_back(row);
    }
  }
  made->sight = std::move(look);
  return made;
}

ChannelTable::ChannelTable(const TopFrame& frame, bool changes)
    : frame_(frame), whole_(*frame.whole) {
  if (!changes) {
    return;
  }
  for (const std::shared_ptr<const LookRows>& look : frame.looks) {
    add_look(*look);
  }
  for (uint32_t i = 0; frame.activity != nullptr && i < frame.activity->channels.size(); i++) {
    add_activity(i);
  }
}

ChannelTable::Change& ChannelTable::change_of(std::string_view id) {
  const ChannelIndex index = whole_.sight->find(id);
  if (index != no_index) {
    const auto [found, is_new] = changed_.try_emplace(index);
    if (is_new) {
      found->second = {whole_.rows[index], &whole_.sight->snapshot};
    }
    return found->second;
  }
  const auto [found, is_new] = young_ids_.try_emplace(id, static_cast<uint32_t>(young_.size()));
  if (is_new) {
    young_.emplace_back();
  }
  return young_[found->second];
}

/// The youngest look comes first, and what it tells stays.
void ChannelTable::add_look(const LookRows& look) {
  const Snapshot& snapshot = look.sight->snapshot;
  for (const ChannelRow& row : look.rows) {
    Change& change = change_of(snapshot.channels[row.channel].id);
    if (change.seen == nullptr || change.seen == &whole_.sight->snapshot) {
      change = {row, &snapshot};
    }
  }
}

void ChannelTable::add_activity(uint32_t index) {
  const ChannelActivity& activity = frame_.activity->channels[index];
  ChannelRow& row = change_of(activity.id).row;
  row.activity = index;
  row.rates = rates_of(activity.reads, activity.writes, activity.read_bytes, activity.written_bytes,
                       frame_.activity->window_ns);
  if (row.rates->operations() > 0) {
    row.state = std::max(row.state, ChannelState::busy);
  }
}

const ChannelTable::Change* ChannelTable::change(size_t index) const {
  if (index >= whole_.rows.size()) {
    return &young_[index - whole_.rows.size()];
  }
  const auto found = changed_.find(static_cast<uint32_t>(index));
  return found != changed_.end() ? &found->second : nullptr;
}

ChannelRow ChannelTable::row(size_t index) const {
  const Change* changed = change(index);
  ChannelRow row = changed != nullptr ? changed->row : whole_.rows[index];
  if (!row.rates && is_measured() && has_rates(kind(index))) {
    row.rates.emplace();  // nothing was done
  }
  return row;
}

ChannelPlace ChannelTable::place(size_t index) const {
  const Change* changed = change(index);
  return changed != nullptr ? ChannelPlace{changed->seen, changed->row.channel} : ends(index);
}

ChannelPlace ChannelTable::ends(size_t index) const {
  return index < whole_.rows.size()
             ? ChannelPlace{&whole_.sight->snapshot, static_cast<ChannelIndex>(index)}
             : ChannelPlace{change(index)->seen, change(index)->row.channel};
}

const ChannelActivity* ChannelTable::activity(size_t index) const {
  const Change* changed = change(index);
  return changed != nullptr && changed->row.activity != no_index
             ? &frame_.activity->channels[changed->row.activity]
             : nullptr;
}

std::string_view ChannelTable::id(size_t index) const {
  const ChannelPlace found = ends(index);
  return found ? (*found).id : std::string_view(activity(index)->id);
}

Kind ChannelTable::kind(size_t index) const {
  const ChannelPlace found = ends(index);
  return found ? (*found).kind : activity(index)->kind;
}

uint32_t ChannelTable::find(std::string_view id) const {
  const ChannelIndex index = whole_.sight->find(id);
  if (index != no_index) {
    return index;
  }
  const auto found = young_ids_.find(id);
  return found != young_ids_.end() ? static_cast<uint32_t>(whole_.rows.size()) + found->second
                                   : no_index;
}

std::vector<uint32_t> ChannelTable::changing() const {
  std::vector<uint32_t> rows;
  rows.reserve(changed_.size() + young_.size());
  for (const auto& [index, change] : changed_) {
    rows.push_back(index);
  }
  for (size_t i = 0; i < young_.size(); i++) {
    rows.push_back(static_cast<uint32_t>(whole_.rows.size() + i));
  }
  return rows;
}

std::span<const RowColumn> channel_columns() { return columns; }

std::unique_ptr<Rows> make_channel_rows(const TopFrame& frame, EscapeStyle style) {
  return std::make_unique<ChannelRows>(frame, style);
}

}  // namespace ipcscope
