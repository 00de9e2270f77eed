// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/render/locks.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <set>

#include "analysis/lock_use.h"
#include "cli/render/finding.h"
#include "cli/render/table.h"
#include "cli/render/text.h"
#include "cli/render/wrap.h"
#include "collectors/model/duration.h"

namespace ipcscope {

namespace {

constexpr size_t usual_rows = 20;
constexpr size_t usual_idle_rows = 5;
constexpr size_t gap = 2;  // of Table

/// A column, and how dear it is where the terminal is narrow.
struct Field {
  TableColumn column;
  size_t least = 0;   ///< a flexible one is not made narrower than this before others go
  unsigned drop = 0;  ///< the highest goes first; 0: never
};

struct Cell {
  std::string text;
  Style style = Style::plain;
};

/// A table that loses whole columns where the terminal is narrow: a number of which the end is
/// missing is worse than none.
class FieldTable {
 public:
  explicit FieldTable(std::vector<Field> fields) : fields_(std::move(fields)) {}

  void add(std::vector<Cell> row) { rows_.push_back(std::move(row)); }
  void print(Output& out, const Terminal& terminal, bool headings) const;
  [[nodiscard]] bool empty() const { return rows_.empty(); }

 private:
  [[nodiscard]] std::vector<size_t> shown(size_t width) const;

  std::vector<Field> fields_;
  std::vector<std::vector<Cell>> rows_;
};

std::vector<size_t> FieldTable::shown(size_t width) const {
  std::vector<size_t> list;
  std::vector<size_t> needed(fields_.size());
  for (size_t i = 0; i < fields_.size(); i++) {
    list.push_back(i);
    needed[i] = fields_[i].column.heading.size();
    for (const std::vector<Cell>& row : rows_) {
      needed[i] = std::max(needed[i], display_width(row[i].text));
    }
    if (fields_[i].column.flexible) {
      needed[i] = std::min(needed[i], fields_[i].least);
    }
  }
  const auto total = [&] {
    size_t sum = list.size() * gap - gap;
    for (const size_t i : list) {
      sum += needed[i];
    }
    return sum;
  };
  while (width != 0 && total() > width) {
    const auto dearest = std::max_element(list.begin(), list.end(), [&](size_t a, size_t b) {
      return fields_[a].drop < fields_[b].drop;
    });
    if (fields_[*dearest].drop == 0) {
      break;
    }
    list.erase(dearest);
  }
  return list;
}

void FieldTable::print(Output& out, const Terminal& terminal, bool headings) const {
  const std::vector<size_t> list = shown(terminal.width);
  std::vector<TableColumn> columns;
  columns.reserve(list.size());
  for (const size_t i : list) {
    columns.push_back(fields_[i].column);
  }
  Table table(std::move(columns), Table::Form::aligned, headings);
  for (const std::vector<Cell>& row : rows_) {
    for (const size_t i : list) {
      table.cell(row[i].text, row[i].style);
    }
  }
  table.print(out, terminal);
}

/// "worker[815]": the short form, for tables.
std::string thread_cell(const LockWindow& window, uint32_t thread, EscapeStyle style) {
  if (thread >= window.threads.size()) {
    return "-";
  }
  const LockThread& each = window.threads[thread];
  return fmt::format("{}[{}]", escaped(each.comm, style), each.tid);
}

std::string lock_cell(const LockUse& lock, EscapeStyle style) {
  return escaped(lock.name.empty() ? lock.id : lock.name, style);
}

/// Identifiers with a finding that is more than information.
std::set<std::string> marked_ids(const LockReport& report) {
  std::set<std::string> ids;
  for (const Finding& each : report.findings) {
    if (each.severity != Severity::info) {
      ids.insert(each.channels.begin(), each.channels.end());
    }
  }
  return ids;
}

const std::vector<Field>& lock_fields() {
  static const std::vector<Field> fields = {
      {{.heading = "LOCK", .flexible = true, .cut_inside = true}, 18, 0},
      {{.heading = "PRIMITIVE"}, 0, 6},
      {{.heading = "FOR"}, 0, 2},
      {{.heading = "WAITS", .right = true}, 0, 3},
      {{.heading = "TOTAL", .right = true}, 0, 0},
      {{.heading = "MEAN", .right = true}, 0, 8},
      {{.heading = "P50", .right = true}, 0, 7},
      {{.heading = "P99", .right = true}, 0, 4},
      {{.heading = "MAX", .right = true}, 0, 1},
      {{.heading = "NOW", .right = true}, 0, 5},
      {{.heading = "HOLDER", .flexible = true, .cut_inside = true}, 14, 0},
  };
  return fields;
}

size_t rows_of(const LockReport& report, size_t usual) {
  return report.form.top != 0 ? report.form.top : usual;
}

/// "and 12 more locks; --top 32 shows all"
void write_more(Output& out, const Terminal& terminal, size_t all, size_t shown,
                std::string_view noun) {
  if (all > shown) {
    write_wrapped(out, terminal, "", 1,
                  fmt::format("and {} more {}{}; --top {} shows all", grouped(all - shown), noun,
                              all - shown == 1 ? "" : "s", all));
  }
}

void write_lock_rows(Output& out, const Terminal& terminal, const LockReport& report,
                     const std::vector<uint32_t>& list, size_t most, bool dim) {
  const std::set<std::string> marked = marked_ids(report);
  const Style plain = dim ? Style::dim : Style::plain;
  FieldTable table(lock_fields());
  for (size_t i = 0; i < std::min(list.size(), most); i++) {
    const LockUse& lock = report.lock(list[i]);
    table.add(
        {{lock_cell(lock, terminal.escape()), marked.contains(lock.id) ? Style::warning : plain},
         {escaped(lock.primitive, terminal.escape()), plain},
         {std::string(purpose_name(lock.purpose)), plain},
         {short_count(lock.waits), plain},
         {nanoseconds_text(lock.total_ns), plain},
         {nanoseconds_text(lock.total_ns / std::max(lock.waits, uint64_t{1})), plain},
         {nanoseconds_text(percentile_of(lock, 0.5)), plain},
         {nanoseconds_text(percentile_of(lock, 0.99)), plain},
         {nanoseconds_text(lock.max_ns), plain},
         {short_count(lock.unfinished), plain},
         {holder_cell(report.window, lock, terminal.escape()), plain}});
  }
  table.print(out, terminal, report.form.headings);
  write_more(out, terminal, list.size(), most, dim ? "channel" : "lock");
}

void write_by_lock(Output& out, const Terminal& terminal, const LockReport& report) {
  if (!report.in_the_way.empty()) {
    write_lock_rows(out, terminal, report, report.in_the_way, rows_of(report, usual_rows), false);
  }
  if (!report.idle.empty()) {
    if (report.form.headings) {
      out.write(report.in_the_way.empty() ? "" : "\n");
      write_wrapped(out, terminal, "", 1,
                    "waits for data, events and work, which are idle as a rule:");
    }
    write_lock_rows(out, terminal, report, report.idle, rows_of(report, usual_idle_rows), true);
  }
}

void write_by_thread(Output& out, const Terminal& terminal, const LockReport& report) {
  const EscapeStyle style = terminal.escape();
  const std::vector<LockThreadUse> threads = report.threads(false);
  const size_t most = rows_of(report, usual_rows);
  FieldTable table({{{.heading = "THREAD", .flexible = true, .cut_inside = true}, 14, 0},
                    {{.heading = "WAITS", .right = true}, 0, 5},
                    {{.heading = "TOTAL", .right = true}, 0, 0},
                    {{.heading = "TIME", .right = true}, 0, 1},
                    {{.heading = "MAX", .right = true}, 0, 3},
                    {{.heading = "OVERTAKEN", .right = true}, 0, 4},
                    {{.heading = "HELD-UP", .right = true}, 0, 6},
                    {{.heading = "IDLE", .right = true}, 0, 7},
                    {{.heading = "MOSTLY-AT", .flexible = true, .cut_inside = true}, 16, 0},
                    {{.heading = "BEHIND", .flexible = true, .cut_inside = true}, 14, 2}});
  for (size_t i = 0; i < std::min(threads.size(), most); i++) {
    const LockThreadUse& each = threads[i];
    const unsigned share = percent(each.wait_ns, report.window.window_ns);
    table.add({{thread_cell(report.window, each.thread, style)},
               {short_count(each.waits)},
               {nanoseconds_text(each.wait_ns)},
               {fmt::format("{}%", share)},
               {nanoseconds_text(each.max_ns)},
               {short_count(each.overtakes_max)},
               {nanoseconds_text(each.held_up_ns)},
               {nanoseconds_text(each.idle_ns)},
               {each.lock == no_index ? "-" : lock_cell(report.lock(each.lock), style)},
               {thread_cell(report.window, each.behind, style)}});
  }
  table.print(out, terminal, report.form.headings);
  write_more(out, terminal, threads.size(), most, "thread");
}

void write_by_pair(Output& out, const Terminal& terminal, const LockReport& report) {
  const EscapeStyle style = terminal.escape();
  const std::vector<LockPairUse> pairs = report.pairs();
  const size_t most = rows_of(report, usual_rows);
  FieldTable table({{{.heading = "WAITER", .flexible = true, .cut_inside = true}, 14, 0},
                    {{.heading = "BEHIND", .flexible = true, .cut_inside = true}, 14, 0},
                    {{.heading = "LOCK", .flexible = true, .cut_inside = true}, 16, 0},
                    {{.heading = "WAITS", .right = true}, 0, 2},
                    {{.heading = "TOTAL", .right = true}, 0, 0},
                    {{.heading = "MAX", .right = true}, 0, 1},
                    {{.heading = "NOW", .right = true}, 0, 3},
                    {{.heading = "OVERTAKEN", .right = true}, 0, 4}});
  for (size_t i = 0; i < std::min(pairs.size(), most); i++) {
    const LockPair& pair = *pairs[i].pair;
    std::string behind = thread_cell(report.window, pair.holder, style);
    if (pair.holder != no_index &&
        (pair.source == HolderSource::none_by_design || pair.source == HolderSource::waker)) {
      behind.insert(0, "by ");
    } else if (pair.holder == no_index && pair.source == HolderSource::none_by_design) {
      behind = "none";
    }
    table.add({{thread_cell(report.window, pair.waiter, style)},
               {std::move(behind)},
               {lock_cell(report.lock(pairs[i].lock), style)},
               {short_count(pair.waits)},
               {nanoseconds_text(pair.wait_ns)},
               {nanoseconds_text(pair.max_ns)},
               {short_count(pair.unfinished)},
               {short_count(pair.overtakes_max)}});
  }
  table.print(out, terminal, report.form.headings);
  write_more(out, terminal, pairs.size(), most, "pair");
}

/// Where every taking was seen.
void write_taken(Output& out, const Terminal& terminal, const LockReport& report) {
  const size_t most = rows_of(report, usual_rows);
  FieldTable table({{{.heading = "LOCK", .flexible = true, .cut_inside = true}, 18, 0},
                    {{.heading = "PRIMITIVE"}, 0, 6},
                    {{.heading = "TAKEN", .right = true}, 0, 0},
                    {{.heading = "HELD", .right = true}, 0, 1},
                    {{.heading = "MEAN", .right = true}, 0, 2},
                    {{.heading = "P99", .right = true}, 0, 5},
                    {{.heading = "MAX", .right = true}, 0, 3},
                    {{.heading = "MOST", .flexible = true, .cut_inside = true}, 14, 4}});
  for (size_t i = 0; i < std::min(report.taken.size(), most); i++) {
    const LockUse& lock = report.lock(report.taken[i]);
    const LockHold sum = all_holds(lock);
    table.add({{lock_cell(lock, terminal.escape())},
               {escaped(lock.primitive, terminal.escape())},
               {short_count(sum.taken)},
               {nanoseconds_text(sum.total_ns)},
               {nanoseconds_text(sum.total_ns / std::max(sum.taken, uint64_t{1}))},
               {nanoseconds_text(held_percentile(lock, 0.99))},
               {nanoseconds_text(sum.max_ns)},
               {thread_cell(report.window, lock.holds.front().thread, terminal.escape())}});
  }
  if (table.empty()) {
    return;
  }
  if (report.form.headings) {
    out.write(report.in_the_way.empty() && report.idle.empty() ? "" : "\n");
    write_wrapped(out, terminal, "", 1, "every taking of a lock, and how long it was held:");
  }
  table.print(out, terminal, report.form.headings);
  write_more(out, terminal, report.taken.size(), most, "lock");
}

/// "--deep: 24 probes; a call through one took 0.6us longer, 9.1us at 5 of them; ..."
std::string deep_text(const DeepFacts& deep) {
  std::string text = fmt::format("--deep: {} probes", deep.probes);
  if (deep.call_ns) {
    fmt::format_to(std::back_inserter(text), "; a call through one takes about {} longer",
                   nanoseconds_text(*deep.call_ns));
  }
  if (deep.stepped != 0 && deep.stepped_call_ns) {
    fmt::format_to(std::back_inserter(text), ", through {} of them {}", deep.stepped,
                   nanoseconds_text(*deep.stepped_call_ns));
  }
  fmt::format_to(std::back_inserter(text), "; {} calls", grouped(deep.calls));
  const auto lost = [&](uint64_t count, std::string_view what) {
    if (count != 0) {
      fmt::format_to(std::back_inserter(text), "; {} {}", grouped(count), what);
    }
  };
  lost(deep.lost_holds, "takings did not fit");
  lost(deep.lost_orders, "orders did not fit");
  lost(deep.lost_held, "locks were forgotten: their threads had more than 8");
  return text;
}

/// Locks that are told in full: all that are shown where that was asked for, or the only one.
std::vector<uint32_t> detailed(const LockReport& report) {
  std::vector<uint32_t> list = report.in_the_way;
  if (!report.form.ids.empty()) {
    list.insert(list.end(), report.idle.begin(), report.idle.end());
    list.insert(list.end(), report.not_waited.begin(), report.not_waited.end());
  }
  list.resize(std::min(list.size(), rows_of(report, usual_rows)));
  return list;
}

/// "measured 5.0s: 12,345 waits of 14 threads at 3 locks and queues"
std::string summary_text(const LockReport& report) {
  std::set<uint32_t> threads;
  uint64_t waits = 0, idle = 0;
  for (const uint32_t index : report.in_the_way) {
    waits += report.lock(index).waits;
    for (const LockPair& pair : report.lock(index).pairs) {
      threads.insert(pair.waiter);
    }
  }
  for (const uint32_t index : report.idle) {
    idle += report.lock(index).waits;
  }
  const auto plural = [](size_t count) { return count == 1 ? "" : "s"; };
  std::string text = fmt::format(
      "measured {}: {} wait{} of {} thread{} for {} lock{} and room, {} for data, events and work",
      nanoseconds_text(report.window.window_ns), grouped(waits), plural(waits),
      grouped(threads.size()), plural(threads.size()), grouped(report.in_the_way.size()),
      plural(report.in_the_way.size()), grouped(idle));
  if (report.window.lost_locks != 0) {
    fmt::format_to(std::back_inserter(text), "; {} wait{} at further locks did not fit",
                   grouped(report.window.lost_locks), plural(report.window.lost_locks));
  }
  if (report.window.lost_pairs != 0) {
    fmt::format_to(std::back_inserter(text), "; of {} wait{} it is not known who waited for whom",
                   grouped(report.window.lost_pairs), plural(report.window.lost_pairs));
  }
  return text;
}

}  // namespace

std::string short_count(uint64_t count) {
  if (count < 100'000) {
    return std::to_string(count);
  }
  static constexpr std::string_view units = "kMGTPE";
  auto value = static_cast<double>(count) / 1000;
  size_t unit = 0;
  while (value >= 999.5 && unit + 1 < units.size()) {
    value /= 1000;
    unit++;
  }
  return value < 99.95 ? fmt::format("{:.1f}{}", value, units[unit])
                       : fmt::format("{:.0f}{}", value, units[unit]);
}

std::string holder_cell(const LockWindow& window, const LockUse& lock, EscapeStyle style) {
  const std::vector<LockHolder> holders = holders_of(lock);
  const bool none = lock.source == HolderSource::none_by_design;
  if (holders.empty()) {
    return none ? "none" : "-";
  }
  const LockHolder& first = holders.front();
  const bool waker = lock.source == HolderSource::waker || lock.purpose == WaitPurpose::room;
  const std::string_view lead = waker ? "by " : none ? "none, by " : "";
  return fmt::format("{}{} {:.0f}%", lead, thread_cell(window, first.thread, style),
                     first.share * 100);
}

void write_locks(Output& out, const Terminal& terminal, const LockReport& report) {
  switch (report.form.view) {
    case LockView::lock:
      write_by_lock(out, terminal, report);
      break;
    case LockView::thread:
      write_by_thread(out, terminal, report);
      break;
    case LockView::pair:
      write_by_pair(out, terminal, report);
      break;
  }
  if (report.form.view == LockView::lock) {
    write_taken(out, terminal, report);
  }
  const std::vector<uint32_t> list = detailed(report);
  const bool in_full =
      report.form.detail || (list.size() == 1 && report.form.view == LockView::lock);
  for (const uint32_t index : list) {
    if (in_full) {
      out.put('\n');
      write_lock(out, terminal, report, index);
    } else if (report.form.stacks) {
      write_lock_stacks(out, terminal, report, index);
    }
  }
  for (const Finding& finding : report.findings) {
    out.put('\n');
    write_finding(out, terminal, finding);
  }
  if (!report.form.headings) {
    return;
  }
  if (report.in_the_way.empty() && report.form.ids.empty()) {
    out.write(report.idle.empty() && report.taken.empty() ? "" : "\n");
    write_wrapped(out, terminal, "", 1, "nobody waited for a lock or for room");
  } else if (report.in_the_way.empty() && report.idle.empty() && report.not_waited.empty()) {
    write_wrapped(out, terminal, "", 1,
                  escaped(fmt::format("nobody waited at {}", fmt::join(report.form.ids, ", ")),
                          terminal.escape()));
  } else {
    out.put('\n');
  }
  write_wrapped(out, terminal, "", 1, summary_text(report));
  if (report.window.deep) {
    write_wrapped(out, terminal, "", 1, deep_text(*report.window.deep));
  }
}

}  // namespace ipcscope
