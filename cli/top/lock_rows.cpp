// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/top/lock_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <unordered_map>
#include <unordered_set>

#include "analysis/lock_use.h"
#include "analysis/wait_words.h"
#include "cli/render/locks.h"
#include "cli/render/text.h"
#include "cli/top/channel_rows.h"
#include "collectors/model/duration.h"

namespace ipcscope {

namespace {

enum Column : size_t {
  column_state,
  column_lock,
  column_primitive,
  column_for,
  column_waits,
  column_share,
  column_now,
  column_mean,
  column_longest,
  column_overtakes,
  column_holder,
};

constexpr RowColumn columns[] = {
    {"state", "the finding that it is in, or blocked; sorted: what costs most first", 10, 0},
    {.name = "lock",
     .help = "symbol, path or identifier",
     .width = 13,
     .drop = 0,
     .flexible = true,
     .cut_inside = true,
     .rising = true},
    {.name = "primitive",
     .help = "mutex, rwlock, semaphore, flock, pipe ...",
     .width = 9,
     .drop = 8,
     .rising = true},
    {.name = "for",
     .help = "what is waited for: lock, room, data or event",
     .width = 5,
     .drop = 9,
     .rising = true},
    {"waits/s", "waits a second", 7, 5, true},
    {"time%", "of the time of the threads that waited there, what they lost", 5, 2, true},
    {"now", "threads that wait now", 4, 3, true},
    {"mean", "mean wait", 5, 7, true},
    {"max", "longest wait, also of one that goes on", 6, 1, true},
    {"overtk", "how often others got it first, in one attempt of a thread", 6, 6, true},
    {.name = "holder",
     .help = "behind whom most of the time was waited",
     .width = 12,
     .drop = 4,
     .flexible = true,
     .cut_inside = true,
     .rising = true},
};

/// The findings of a report by channel, the gravest of each.
std::unordered_map<std::string_view, const Finding*> by_channel(const LockReport& report) {
  std::unordered_map<std::string_view, const Finding*> map;
  for (const Finding& finding : report.findings) {
    for (const std::string& id : finding.channels) {
      const Finding*& known = map[id];
      known = known == nullptr || finding.severity > known->severity ? &finding : known;
    }
  }
  return map;
}

/// The longest wait that goes on: a window knows only the part of it that is in the window.
void add_longest(LockRow& row) {
  const Snapshot& snapshot = *row.place.snapshot;
  for (const uint32_t index : snapshot.waits_at(*row.place)) {
    const Since blocked = since(snapshot.threads[snapshot.waits[index].thread]);
    if (blocked.milliseconds && *blocked.milliseconds * 1'000'000 > row.longest_ns.value_or(0)) {
      row.longest_ns = *blocked.milliseconds * 1'000'000;
      row.exact = blocked.exact;
    }
  }
}

LockRow row_of(const TopFrame& frame, uint32_t index) {
  const LockUse& lock = frame.locks->lock(index);
  const uint64_t window_ns = std::max<uint64_t>(frame.locks->window.window_ns, 1);
  std::unordered_set<uint32_t> threads;
  LockRow row;
  row.lock = index;
  row.exact = true;
  row.place = frame.find(lock.id);
  row.idle = !is_in_the_way(lock);
  row.waiting = lock.unfinished;
  row.waits = static_cast<double>(lock.waits) * 1e9 / static_cast<double>(window_ns);
  // What the window cuts off at both ends says nothing about how long a wait takes.
  if (lock.waits > lock.unfinished) {
    row.mean_ns = lock.total_ns / lock.waits;
  }
  row.longest_ns = lock.max_ns;
  row.overtakes = 0;
  for (const LockPair& pair : lock.pairs) {
    threads.insert(pair.waiter);
    row.overtakes = std::max(*row.overtakes, pair.overtakes_max);
  }
  const double time = static_cast<double>(window_ns) * static_cast<double>(threads.size());
  if (time > 0) {
    row.share = std::min(static_cast<double>(lock.total_ns) / time * 100, 100.0);
  }
  if (row.place && lock.unfinished != 0) {
    add_longest(row);
  }
  return row;
}

/// Without a window: where a thread waits for a holder or for room.
std::vector<LockRow> rows_of_snapshots(const TopFrame& frame) {
  const ChannelTable table(frame);
  std::vector<LockRow> rows;
  for (size_t i = 0; i < table.size(); i++) {
    LockRow row;
    row.place = table.place(i);
    if (table.row(i).state < ChannelState::blocked || !row.place) {
      continue;
    }
    const Snapshot& snapshot = *row.place.snapshot;
    for (const uint32_t index : snapshot.waits_at(*row.place)) {
      row.waiting += wants_progress(snapshot, snapshot.waits[index]) ? 1 : 0;
    }
    add_longest(row);
    rows.push_back(row);
  }
  return rows;
}

/// "worker[815]", of the thread or process at an end.
std::string end_text(const Snapshot& snapshot, const Endpoint& end, EscapeStyle style) {
  const bool is_thread = end.thread != no_index;
  return fmt::format(
      "{}[{}]",
      escaped(is_thread ? snapshot.threads[end.thread].command()
                        : snapshot.processes[end.process].command(),
              style),
      is_thread ? snapshot.threads[end.thread].tid : snapshot.processes[end.process].pid);
}

class LockRows : public Rows {
 public:
  LockRows(const TopFrame& frame, EscapeStyle style)
      : frame_(frame), rows_(lock_rows(frame)), style_(style) {}

  [[nodiscard]] std::span<const RowColumn> columns() const override { return lock_columns(); }
  [[nodiscard]] size_t size() const override { return rows_.size(); }
  /// A queue can be there for its readers and for its writers.
  [[nodiscard]] std::string identity(size_t row) const override {
    return fmt::format("{} {}", purpose(row), id(row));
  }
  [[nodiscard]] Cell cell(size_t row, size_t column) override;
  [[nodiscard]] int compare(size_t a, size_t b, size_t column) const override;
  [[nodiscard]] std::string text(size_t row) override;
  [[nodiscard]] std::optional<Kind> kind(size_t row) const override {
    const LockUse* of = use(row);
    return of != nullptr ? of->kind : (*rows_[row].place).kind;
  }
  [[nodiscard]] std::vector<int32_t> pids(size_t row) const override;

 private:
  [[nodiscard]] const LockUse* use(size_t row) const {
    const uint32_t index = rows_[row].lock;
    return index != no_index ? &frame_.locks->lock(index) : nullptr;
  }
  [[nodiscard]] std::string_view id(size_t row) const {
    const LockUse* of = use(row);
    return of != nullptr ? std::string_view(of->id) : (*rows_[row].place).id;
  }
  [[nodiscard]] std::string_view name(size_t row) const {
    const LockUse* of = use(row);
    return of != nullptr && !of->name.empty() ? std::string_view(of->name) : id(row);
  }
  [[nodiscard]] std::string_view primitive(size_t row) const {
    const LockUse* of = use(row);
    return of != nullptr ? std::string_view(of->primitive) : kind_name((*rows_[row].place).kind);
  }
  [[nodiscard]] std::string_view purpose(size_t row) const;
  [[nodiscard]] std::string_view state(size_t row) const;
  [[nodiscard]] std::string holder(size_t row);

  const TopFrame& frame_;
  std::vector<LockRow> rows_;
  EscapeStyle style_;
};

std::string_view LockRows::purpose(size_t row) const {
  if (const LockUse* of = use(row)) {
    return purpose_name(of->purpose);
  }
  const ChannelPlace& place = rows_[row].place;
  for (const uint32_t index : place.snapshot->waits_at(*place)) {
    if (waits_for_room(place.snapshot->waits[index])) {
      return purpose_name(WaitPurpose::room);
    }
  }
  return purpose_name(WaitPurpose::lock);
}

std::string_view LockRows::state(size_t row) const {
  const LockRow& of = rows_[row];
  if (of.finding != nullptr && of.finding->severity != Severity::info) {
    return of.finding->rule;
  }
  return of.idle ? "idle" : of.waiting != 0 ? "blocked" : "waited";
}

std::string LockRows::holder(size_t row) {
  if (const LockUse* of = use(row)) {
    return holder_cell(frame_.locks->window, *of, style_);
  }
  // Who holds it may have been looked at when who waits was not.
  const Snapshot& snapshot = *rows_[row].place.snapshot;
  std::string text;
  for (const Endpoint& end : snapshot.endpoints_of(*rows_[row].place)) {
    if (end.role == Role::owner && end.process != no_index) {
      text += text.empty() ? "" : ",";
      text += end_text(snapshot, end, style_);
    }
  }
  return text.empty() ? "-" : text;
}

Cell LockRows::cell(size_t row, size_t column) {
  const LockRow& of = rows_[row];
  const auto time = [](const std::optional<uint64_t>& ns) {
    return ns ? nanoseconds_text(*ns) : std::string("-");
  };
  const Style plain = of.idle ? Style::dim : Style::plain;
  switch (column) {
    case column_state: {
      const bool found = of.finding != nullptr && of.finding->severity != Severity::info;
      const Style style = found && of.finding->severity == Severity::critical ? Style::alarm
                          : found                                             ? Style::warning
                                                                              : plain;
      return {std::string(state(row)), style};
    }
    case column_lock:
      return {escaped(name(row), style_), plain};
    case column_primitive:
      return {escaped(primitive(row), style_), plain};
    case column_for:
      return {std::string(purpose(row)), plain};
    case column_waits:
      return {rate_text(of.waits), plain};
    case column_share:
      return {of.share ? fmt::format("{:.0f}%", *of.share) : "-", plain};
    case column_now:
      return {short_count(of.waiting), plain};
    case column_mean:
      return {time(of.mean_ns), plain};
    case column_longest:
      return {(of.longest_ns && !of.exact ? style_.utf8 ? "≥" : ">=" : "") + time(of.longest_ns),
              plain};
    case column_overtakes:
      return {of.overtakes ? short_count(*of.overtakes) : "-", plain};
    default:
      return {holder(row), plain};
  }
}

int LockRows::compare(size_t first, size_t second, size_t column) const {
  const LockRow& a = rows_[first];
  const LockRow& b = rows_[second];
  const auto cost = [&](size_t row) {
    const LockUse* of = use(row);
    return of != nullptr ? of->total_ns : rows_[row].longest_ns.value_or(0);
  };
  switch (column) {
    case column_lock:
      return rising(name(first), name(second));
    case column_primitive:
      return rising(primitive(first), primitive(second));
    case column_for:
      return rising(purpose(first), purpose(second));
    case column_waits:
      return falling(a.waits, b.waits);
    case column_share:
      return falling(a.share, b.share);
    case column_now:
      return falling(a.waiting, b.waiting);
    case column_mean:
      return falling(a.mean_ns, b.mean_ns);
    case column_longest:
      return falling(a.longest_ns, b.longest_ns);
    case column_overtakes:
      return falling(a.overtakes, b.overtakes);
    case column_holder: {
      const auto front = [&](size_t row) {
        const LockUse* of = use(row);
        const std::vector<LockHolder> holders =
            of != nullptr ? holders_of(*of) : std::vector<LockHolder>();
        return holders.empty() ? std::string()
                               : frame_.locks->window.threads[holders.front().thread].comm;
      };
      return rising(front(first), front(second));
    }
    default:
      break;
  }
  const auto gravity = [](const LockRow& row) {
    return row.finding != nullptr ? static_cast<int>(row.finding->severity) : 0;
  };
  if (a.idle != b.idle) {
    return a.idle ? 1 : -1;
  }
  if (const int order = falling(gravity(a), gravity(b)); order != 0) {
    return order;
  }
  return falling(cost(first), cost(second));
}

std::string LockRows::text(size_t row) {
  std::string text =
      fmt::format("{} {} {} {} {}", escaped(id(row), style_), escaped(name(row), style_),
                  escaped(primitive(row), style_), state(row), holder(row));
  if (const LockUse* of = use(row)) {
    for (const LockPair& pair : of->pairs) {
      const LockThread& waiter = frame_.locks->window.threads[pair.waiter];
      text += ' ';
      append_escaped(text, thread_text(waiter), style_);
    }
    return text;
  }
  const ChannelPlace& place = rows_[row].place;
  for (const uint32_t wait : place.snapshot->waits_at(*place)) {
    const Thread& thread = place.snapshot->threads[place.snapshot->waits[wait].thread];
    fmt::format_to(std::back_inserter(text), " {}[{}]", escaped(thread.command(), style_),
                   thread.tid);
  }
  return text;
}

std::vector<int32_t> LockRows::pids(size_t row) const {
  std::vector<int32_t> found;
  if (const LockUse* of = use(row)) {
    const std::vector<LockThread>& threads = frame_.locks->window.threads;
    for (const LockPair& pair : of->pairs) {
      for (const uint32_t thread : {pair.waiter, pair.holder}) {
        if (thread < threads.size() && threads[thread].pid != 0) {
          found.push_back(threads[thread].pid);
        }
      }
    }
    return found;
  }
  const ChannelPlace& place = rows_[row].place;
  const Snapshot& snapshot = *place.snapshot;
  for (const Endpoint& end : snapshot.endpoints_of(*place)) {
    if (end.process != no_index) {
      found.push_back(snapshot.processes[end.process].pid);
    }
  }
  for (const uint32_t wait : snapshot.waits_at(*place)) {
    const Thread& thread = snapshot.threads[snapshot.waits[wait].thread];
    found.push_back(snapshot.processes[thread.process].pid);
  }
  return found;
}

}  // namespace

std::vector<LockRow> lock_rows(const TopFrame& frame) {
  if (frame.locks == nullptr) {
    return rows_of_snapshots(frame);
  }
  const auto findings = by_channel(*frame.locks);
  std::vector<LockRow> rows;
  for (const std::vector<uint32_t>* list : {&frame.locks->in_the_way, &frame.locks->idle}) {
    for (const uint32_t index : *list) {
      LockRow& row = rows.emplace_back(row_of(frame, index));
      const auto finding = findings.find(frame.locks->lock(index).id);
      row.finding = finding != findings.end() ? finding->second : nullptr;
    }
  }
  return rows;
}

std::span<const RowColumn> lock_columns() { return columns; }

std::unique_ptr<Rows> make_lock_rows(const TopFrame& frame, EscapeStyle style) {
  return std::make_unique<LockRows>(frame, style);
}

}  // namespace ipcscope
