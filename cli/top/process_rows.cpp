// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/top/process_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include "analysis/lock_use.h"
#include "analysis/wait_words.h"
#include "cli/render/locks.h"
#include "cli/render/text.h"

namespace ipcscope {

namespace {

enum Column : size_t {
  column_state,
  column_pid,
  column_user,
  column_command,
  column_reads,
  column_writes,
  column_read_bytes,
  column_written_bytes,
  column_share,
  column_blocked,
  column_longest,
  column_on,
};

constexpr RowColumn columns[] = {
    {"state", "stuck, blocked, busy; sorted: what to look at first", 7, 0},
    {.name = "pid",
     .help = "number of the process",
     .width = 7,
     .drop = 0,
     .right = true,
     .rising = true},
    {.name = "user", .help = "who runs it", .width = 8, .drop = 10, .rising = true},
    {.name = "command",
     .help = "its name",
     .width = 11,
     .drop = 0,
     .flexible = true,
     .cut_inside = true,
     .rising = true},
    {"rd/s", "reads and receives a second", 5, 9, true},
    {"wr/s", "writes and sends a second", 5, 9, true},
    {"rbyt/s", "bytes that it reads a second", 6, 7, true},
    {"wbyt/s", "bytes that it writes a second", 6, 7, true},
    {"time%", "of the time of its threads that waited, what they lost", 5, 2, true},
    {"now", "threads that wait for a holder or for room now", 3, 4, true},
    {"since", "how long the longest of these waits has lasted", 6, 3, true},
    {.name = "mostly-on",
     .help = "where it waited most, and behind whom",
     .width = 13,
     .drop = 1,
     .flexible = true,
     .cut_inside = true,
     .rising = true,
     .share = 3},
};

/// A thread of the kernel has no memory of its own, and descends from thread 2.
bool is_kernel_thread(const Process& process) {
  constexpr int32_t kthreadd = 2;
  return process.mm == 0 && (process.pid == kthreadd || process.ppid == kthreadd);
}

/// Waits of the window, by process.
class WindowSums {
 public:
  explicit WindowSums(const LockReport& report) : report_(report) {
    for (const uint32_t index : report.in_the_way) {
      for (const LockPair& pair : report.lock(index).pairs) {
        add(index, pair);
      }
    }
  }

  void apply(int32_t pid, ProcessRow& row) const {
    row.share = 0;
    const auto found = sums_.find(pid);
    if (found == sums_.end()) {
      return;
    }
    const Sum& sum = found->second;
    const double time =
        static_cast<double>(report_.window.window_ns) * static_cast<double>(sum.threads.size());
    row.share = time > 0 ? std::min(static_cast<double>(sum.wait_ns) / time * 100, 100.0) : 0;
    row.wait_ns = sum.wait_ns;
    uint64_t most = 0;
    for (const auto& [at, ns] : sum.at) {
      if (ns >= most) {
        most = ns;
        row.lock = at.first;
        row.behind = at.second;
      }
    }
  }

 private:
  struct Sum {
    uint64_t wait_ns = 0;
    std::unordered_set<uint32_t> threads;
    std::map<std::pair<uint32_t, uint32_t>, uint64_t> at;  ///< by lock and thread behind which
  };

  void add(uint32_t lock, const LockPair& pair) {
    Sum& sum = sums_[report_.window.threads[pair.waiter].pid];
    sum.wait_ns += pair.wait_ns;
    sum.threads.insert(pair.waiter);
    sum.at[{lock, pair.holder}] += pair.wait_ns;
  }

  const LockReport& report_;
  std::unordered_map<int32_t, Sum> sums_;
};

void find_waits(const Snapshot& snapshot, const Process& process, ProcessRow& row) {
  for (const Thread& thread : snapshot.threads_of(process)) {
    for (uint32_t i = thread.first_wait; i < thread.first_wait + thread.wait_count; i++) {
      if (!wants_progress(snapshot, snapshot.waits[i])) {
        continue;
      }
      const Since blocked = since(thread);
      row.blocked++;
      row.state = ProcessState::blocked;
      if (row.wait == no_index || blocked.milliseconds > row.longest_ms) {
        row.wait = i;
        row.longest_ms = blocked.milliseconds;
        row.exact = blocked.exact;
      }
      break;
    }
  }
}

std::unordered_set<int32_t> stuck_processes(const TopFrame& frame) {
  std::unordered_set<int32_t> pids;
  for (const LiveFinding& each : frame.findings) {
    if (each.source == "why" && each.finding.severity != Severity::info) {
      pids.insert(each.finding.pids.begin(), each.finding.pids.end());
    }
  }
  return pids;
}

class ProcessRows : public Rows {
 public:
  ProcessRows(const TopFrame& frame, EscapeStyle style)
      : frame_(frame), rows_(process_rows(frame)), style_(style) {}

  [[nodiscard]] std::span<const RowColumn> columns() const override { return process_columns(); }
  [[nodiscard]] size_t size() const override { return rows_.size(); }
  [[nodiscard]] std::string identity(size_t row) const override { return std::to_string(pid(row)); }
  [[nodiscard]] Cell cell(size_t row, size_t column) override;
  [[nodiscard]] int compare(size_t a, size_t b, size_t column) const override;
  [[nodiscard]] std::string text(size_t row) override;
  [[nodiscard]] std::optional<Kind> kind(size_t /*row*/) const override { return std::nullopt; }
  [[nodiscard]] std::vector<int32_t> pids(size_t row) const override { return {pid(row)}; }

 private:
  [[nodiscard]] const Process* process(size_t row) const {
    const ProcessRow& of = rows_[row];
    return of.snapshot != nullptr ? &of.snapshot->processes[of.process] : nullptr;
  }
  [[nodiscard]] int32_t pid(size_t row) const {
    const Process* of = process(row);
    return of != nullptr ? of->pid : frame_.activity->processes[rows_[row].activity].pid;
  }
  [[nodiscard]] std::string_view command(size_t row) const {
    const Process* of = process(row);
    return of != nullptr ? of->command()
                         : std::string_view(frame_.activity->processes[rows_[row].activity].comm);
  }
  [[nodiscard]] std::string_view user(size_t row) {
    const Process* of = process(row);
    return of != nullptr ? users_.name(of->uid) : std::string_view("-");
  }
  [[nodiscard]] std::string mostly_on(size_t row);

  const TopFrame& frame_;
  std::vector<ProcessRow> rows_;
  EscapeStyle style_;
  UserNames users_;
};

/// "queue_lock behind hog[4219]"
std::string ProcessRows::mostly_on(size_t row) {
  const ProcessRow& of = rows_[row];
  if (of.lock != no_index) {
    const LockUse& lock = frame_.locks->lock(of.lock);
    std::string text = escaped(lock.name.empty() ? lock.id : lock.name, style_);
    const std::vector<LockThread>& threads = frame_.locks->window.threads;
    if (of.behind < threads.size()) {
      text += " behind ";
      append_escaped(text, thread_text(threads[of.behind]), style_);
    }
    return text;
  }
  if (of.wait == no_index) {
    return {};
  }
  const Snapshot& snapshot = *of.snapshot;
  const Channel& channel = snapshot.channels[snapshot.waits[of.wait].channel];
  std::string text = escaped(channel.id, style_);
  for (const Endpoint& end : snapshot.endpoints_of(channel)) {
    if (end.role == Role::owner && end.process != no_index) {
      text += " behind ";
      append_escaped(text,
                     end.thread != no_index ? thread_label(snapshot, end.thread)
                                            : process_label(snapshot.processes[end.process]),
                     style_);
      break;
    }
  }
  return text;
}

Cell ProcessRows::cell(size_t row, size_t column) {
  const ProcessRow& of = rows_[row];
  const auto rate = [&](double Rates::*which) {
    return of.rates ? std::optional(*of.rates.*which) : std::nullopt;
  };
  switch (column) {
    case column_state:
      return {std::string(process_state_name(of.state)),
              of.state == ProcessState::stuck     ? Style::alarm
              : of.state == ProcessState::blocked ? Style::warning
                                                  : Style::plain};
    case column_pid:
      return {std::to_string(pid(row)), Style::plain};
    case column_user:
      return {escaped(user(row), style_), Style::plain};
    case column_command:
      return {escaped(command(row), style_), Style::plain};
    case column_reads:
      return {rate_text(rate(&Rates::reads)), Style::plain};
    case column_writes:
      return {rate_text(rate(&Rates::writes)), Style::plain};
    case column_read_bytes:
      return {bytes_rate_text(rate(&Rates::read_bytes)), Style::plain};
    case column_written_bytes:
      return {bytes_rate_text(rate(&Rates::written_bytes)), Style::plain};
    case column_share:
      return {of.share ? fmt::format("{:.0f}%", *of.share) : "-", Style::plain};
    case column_blocked:
      return {process(row) != nullptr ? short_count(of.blocked) : "-", Style::plain};
    case column_longest: {
      std::string text;
      append_since(text, {of.longest_ms, of.exact}, style_.utf8);
      return {std::move(text), Style::plain};
    }
    default:
      return {mostly_on(row), Style::plain};
  }
}

int ProcessRows::compare(size_t first, size_t second, size_t column) const {
  const ProcessRow& a = rows_[first];
  const ProcessRow& b = rows_[second];
  const auto by = [&](double Rates::*which) {
    const auto value = [&](const ProcessRow& row) { return row.rates ? *row.rates.*which : -1; };
    return falling(value(a), value(b));
  };
  switch (column) {
    case column_pid:
      return falling(pid(second), pid(first));
    case column_user: {
      const auto uid = [&](size_t row) {
        const Process* of = process(row);
        return of != nullptr ? int64_t{of->uid} : INT64_MAX;
      };
      return falling(uid(second), uid(first));
    }
    case column_command:
      return rising(command(first), command(second));
    case column_reads:
      return by(&Rates::reads);
    case column_writes:
      return by(&Rates::writes);
    case column_read_bytes:
      return by(&Rates::read_bytes);
    case column_written_bytes:
      return by(&Rates::written_bytes);
    case column_share:
      return falling(a.share, b.share);
    case column_blocked:
      return falling(a.blocked, b.blocked);
    case column_longest:
      return falling(a.longest_ms, b.longest_ms);
    case column_on:
      return falling(a.wait_ns, b.wait_ns);
    default:
      break;
  }
  if (a.state != b.state) {
    return falling(a.state, b.state);
  }
  if (const int order = falling(a.wait_ns, b.wait_ns); order != 0) {
    return order;
  }
  if (const int order = falling(a.longest_ms, b.longest_ms); order != 0) {
    return order;
  }
  const auto busy = [](const ProcessRow& row) { return row.rates ? row.rates->operations() : 0; };
  return falling(busy(a), busy(b));
}

std::string ProcessRows::text(size_t row) {
  return fmt::format("{}[{}] {} {} {}", escaped(command(row), style_), pid(row),
                     escaped(user(row), style_), process_state_name(rows_[row].state),
                     mostly_on(row));
}

}  // namespace

std::string_view process_state_name(ProcessState state) {
  switch (state) {
    case ProcessState::quiet:
      return "";
    case ProcessState::busy:
      return "busy";
    case ProcessState::blocked:
      return "blocked";
    case ProcessState::stuck:
      return "stuck";
  }
  return "";
}

std::vector<ProcessRow> process_rows(const TopFrame& frame) {
  const std::unordered_set<int32_t> stuck = stuck_processes(frame);
  std::unordered_map<int32_t, uint32_t> active;
  if (frame.activity != nullptr) {
    for (uint32_t i = 0; i < frame.activity->processes.size(); i++) {
      active.emplace(frame.activity->processes[i].pid, i);
    }
  }
  std::optional<WindowSums> sums;
  if (frame.locks != nullptr) {
    sums.emplace(*frame.locks);
  }
  const auto finish = [&](int32_t pid, ProcessRow& row) {
    if (frame.activity != nullptr) {
      row.rates.emplace();
    }
    if (const auto found = active.find(pid); found != active.end()) {
      const ProcessActivity& of = frame.activity->processes[found->second];
      row.activity = found->second;
      row.rates =
          rates_of(of.reads, of.writes, of.read_bytes, of.written_bytes, frame.activity->window_ns);
      row.state = row.rates->operations() > 0 ? std::max(row.state, ProcessState::busy) : row.state;
      active.erase(found);
    }
    if (sums) {
      sums->apply(pid, row);
    }
    if (stuck.contains(pid)) {
      row.state = ProcessState::stuck;
    }
  };
  std::vector<ProcessRow> rows;
  std::unordered_set<int32_t> listed;
  const auto add = [&](const Process& seen) {
    if (is_kernel_thread(seen)) {
      return;
    }
    ProcessRow row;
    const Process* process = frame.find_process(seen.pid, &row.snapshot);
    row.process = static_cast<ProcessIndex>(process - row.snapshot->processes.data());
    find_waits(*row.snapshot, *process, row);
    finish(process->pid, row);
    rows.push_back(row);
    listed.insert(process->pid);
  };
  for (const Process& process : frame.snapshot().processes) {
    add(process);
  }
  for (const std::shared_ptr<const LookRows>& look : frame.looks) {
    for (const Process& process : look->sight->snapshot.processes) {
      if (!listed.contains(process.pid)) {
        add(process);
      }
    }
  }
  if (frame.activity != nullptr) {
    for (const ProcessActivity& each : frame.activity->processes) {
      if (active.contains(each.pid) && !listed.contains(each.pid)) {
        finish(each.pid, rows.emplace_back());
      }
    }
  }
  return rows;
}

std::span<const RowColumn> process_columns() { return columns; }

std::unique_ptr<Rows> make_process_rows(const TopFrame& frame, EscapeStyle style) {
  return std::make_unique<ProcessRows>(frame, style);
}

}  // namespace ipcscope
