// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cli/render/channel_json.h"
#include "cli/render/finding.h"
#include "cli/render/limits.h"
#include "cli/render/locks.h"
#include "cli/render/text.h"
#include "cli/render/top.h"
#include "cli/top/channel_rows.h"
#include "cli/top/lock_rows.h"
#include "cli/top/process_rows.h"
#include "cli/top/tab_view.h"

namespace ipcscope {

namespace {

class TopJson {
 public:
  TopJson(Output& out, const TopFrame& frame, const TopForm& form)
      : out_(out),
        json_(out),
        frame_(frame),
        snapshot_(frame.snapshot()),
        form_(form),
        table_(frame),
        channels_(out, json_, frame.snapshot()) {}

  void write();

 private:
  /// The rows of a tab that are to be written, in the order of the screen.
  std::vector<uint32_t> rows_of(Tab tab);
  /// "tab":[...], or null where it was not asked for.
  template <typename Each>
  void write_array(Tab tab, Each each);
  template <typename T>
  void known(std::string_view key, const std::optional<T>& value) {
    json_.key(key);
    json_.number(value);
  }
  void decimal(std::string_view key, const std::optional<double>& value);
  void write_rates(const std::optional<Rates>& rates);
  void write_channel(uint32_t index);
  void write_unseen_channel(const ChannelActivity& channel);
  void write_lock(const LockRow& row);
  void write_process(const ProcessRow& row);
  void write_mostly_on(const ProcessRow& row);
  void write_finding(const LiveFinding& live);
  void write_host();

  Output& out_;
  Json json_;
  const TopFrame& frame_;
  const Snapshot& snapshot_;
  const TopForm& form_;
  ChannelTable table_;
  ChannelJson channels_;
  UserNames users_;
};

std::vector<uint32_t> TopJson::rows_of(Tab tab) {
  const std::unique_ptr<Rows> rows = make_rows(frame_, tab, {});
  TabView view;
  if (tab == form_.tab) {
    view.sort = form_.sort;
    view.reverse = form_.reverse;
  }
  view.arrange(*rows, form_.filter, 0);
  const size_t count = form_.most == 0 ? view.size() : std::min(form_.most, view.size());
  view.arrange(*rows, form_.filter, count);
  std::vector<uint32_t> chosen;
  chosen.reserve(count);
  for (size_t i = 0; i < count; i++) {
    chosen.push_back(view.row(i));
  }
  return chosen;
}

template <typename Each>
void TopJson::write_array(Tab tab, Each each) {
  json_.key(tab_name(tab));
  if (!form_.every_tab && form_.tab != tab) {
    json_.null();
    return;
  }
  json_.begin_array();
  for (const uint32_t row : rows_of(tab)) {
    each(row);
  }
  json_.end_array();
}

/// Thousandths are enough for whoever adds them up.
void TopJson::decimal(std::string_view key, const std::optional<double>& value) {
  json_.key(key);
  if (!value || !std::isfinite(*value)) {
    json_.null();
    return;
  }
  std::string text = fmt::format("{:.3f}", *value);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) {
    text.pop_back();
  }
  json_.raw(text);
}

void TopJson::write_rates(const std::optional<Rates>& rates) {
  json_.key("rates");
  if (!rates) {
    json_.null();
    return;
  }
  json_.begin_object();
  decimal("reads", rates->reads);
  decimal("writes", rates->writes);
  decimal("read_bytes", rates->read_bytes);
  decimal("written_bytes", rates->written_bytes);
  json_.end_object();
}

/// A channel that is younger than the snapshot: nothing is known of it but what was done there.
void TopJson::write_unseen_channel(const ChannelActivity& channel) {
  json_.text("id", channel.id);
  json_.member("kind", kind_name(channel.kind));
  for (const char* key : {"name", "namespace", "permissions"}) {
    json_.key(key);
    json_.null();
  }
  for (const char* key : {"depth", "capacity"}) {
    json_.key(key);
    json_.raw(R"({"bytes":null,"messages":null})");
  }
  json_.key("owner");
  json_.null();
  json_.key("attributes");
  json_.raw("{}");
  for (const char* key : {"endpoints", "waits"}) {
    json_.key(key);
    json_.raw("[]");
  }
}

void TopJson::write_channel(uint32_t index) {
  const ChannelRow row = table_.row(index);
  const ChannelPlace ends = table_.ends(index);
  json_.begin_object();
  if (!ends) {
    write_unseen_channel(*table_.activity(index));
  } else if (ends.snapshot == &snapshot_) {
    channels_.write_members(*ends);
  } else {
    ChannelJson(out_, json_, *ends.snapshot).write_members(*ends);
  }
  json_.text("state", channel_state_name(row.state), true);
  write_rates(row.rates);
  json_.key("fill_percent");
  row.percent ? json_.number(uint64_t{*row.percent}) : json_.null();
  json_.key("waiters");
  row.channel != no_index ? json_.number(row.waiters) : json_.null();
  known("longest_wait_ms", row.longest_ms);
  json_.key("active_pids");
  json_.begin_array();
  if (const ChannelActivity* activity = table_.activity(index)) {
    for (const int32_t pid : activity->pids) {
      json_.number(pid);
    }
  }
  json_.end_array();
  json_.end_object();
}

void TopJson::write_lock(const LockRow& row) {
  if (row.lock != no_index) {
    write_lock_json(json_, *frame_.locks, row.lock);
    return;
  }
  const Channel& channel = *row.place;
  const Snapshot& snapshot = *row.place.snapshot;
  json_.begin_object();
  json_.text("id", channel.id);
  json_.member("kind", kind_name(channel.kind));
  for (const char* key :
       {"primitive", "name", "purpose", "in_the_way", "operation", "holder_source", "waits"}) {
    json_.key(key);
    json_.null();
  }
  json_.key("unfinished");
  json_.number(row.waiting);
  for (const char* key : {"wait_ms", "results"}) {
    json_.key(key);
    json_.null();
  }
  json_.key("holders");
  json_.begin_array();
  for (const Endpoint& endpoint : snapshot.endpoints_of(channel)) {
    if (endpoint.role != Role::owner || endpoint.process == no_index) {
      continue;
    }
    const Process& process = snapshot.processes[endpoint.process];
    const Thread* thread =
        endpoint.thread != no_index ? &snapshot.threads[endpoint.thread] : nullptr;
    json_.begin_object();
    json_.key("pid");
    json_.number(process.pid);
    json_.key("tid");
    thread != nullptr ? json_.number(thread->tid) : json_.null();
    json_.text("comm", thread != nullptr ? thread->command() : process.command());
    for (const char* key : {"share", "source", "waits", "wait_ms"}) {
      json_.key(key);
      json_.null();
    }
    json_.end_object();
  }
  json_.end_array();
  for (const char* key : {"pairs", "histogram", "stacks"}) {
    json_.key(key);
    json_.raw("[]");
  }
  for (const char* key :
       {"overtakes_max", "woken_again", "longest_hold_ms", "attempt_p50_ms", "taken"}) {
    json_.key(key);
    json_.null();
  }
  json_.key("facts");
  json_.raw("{}");
  json_.end_object();
}

void TopJson::write_mostly_on(const ProcessRow& row) {
  json_.key("mostly_on");
  if (row.lock == no_index && row.wait == no_index) {
    json_.null();
    return;
  }
  json_.begin_object();
  json_.text("channel", row.lock != no_index
                            ? std::string_view(frame_.locks->lock(row.lock).id)
                            : row.snapshot->channels[row.snapshot->waits[row.wait].channel].id);
  const LockThread* behind =
      row.lock != no_index && row.behind < frame_.locks->window.threads.size()
          ? &frame_.locks->window.threads[row.behind]
          : nullptr;
  json_.key("pid");
  behind != nullptr && behind->pid != 0 ? json_.number(behind->pid) : json_.null();
  json_.key("tid");
  behind != nullptr ? json_.number(behind->tid) : json_.null();
  json_.text("comm", behind != nullptr ? behind->comm : "", true);
  json_.end_object();
}

void TopJson::write_process(const ProcessRow& row) {
  const Process* process =
      row.snapshot != nullptr ? &row.snapshot->processes[row.process] : nullptr;
  const ProcessActivity* activity =
      row.activity != no_index ? &frame_.activity->processes[row.activity] : nullptr;
  json_.begin_object();
  json_.key("pid");
  json_.number(process != nullptr ? process->pid : activity->pid);
  json_.text("comm", process != nullptr ? process->command() : std::string_view(activity->comm));
  json_.text("user", process != nullptr ? users_.name(process->uid) : std::string_view(), true);
  json_.text("state", process_state_name(row.state), true);
  write_rates(row.rates);
  decimal("blocked_percent", row.share);
  json_.key("blocked_threads");
  process != nullptr ? json_.number(row.blocked) : json_.null();
  known("longest_wait_ms", row.longest_ms);
  json_.key("wait_ms");
  frame_.locks != nullptr ? json_.number(row.wait_ns / 1'000'000) : json_.null();
  write_mostly_on(row);
  json_.end_object();
}

void TopJson::write_finding(const LiveFinding& live) {
  json_.begin_object();
  write_members(json_, live.finding);
  json_.member("source", live.source);
  json_.key("seen_for_ms");
  json_.number((frame_.boot_ns - live.first_seen_ns) / 1'000'000);
  json_.end_object();
}

void TopJson::write_host() {
  known("uptime_s", frame_.host.uptime_s);
  json_.key("pressure");
  json_.begin_object();
  decimal("cpu", frame_.host.cpu_pressure);
  decimal("memory", frame_.host.memory_pressure);
  decimal("io", frame_.host.io_pressure);
  json_.end_object();
  const Blocked& blocked = frame_.whole->blocked;
  json_.key("blocked");
  json_.begin_object();
  json_.key("threads");
  json_.number(blocked.threads);
  json_.key("in_the_way");
  json_.number(blocked.in_the_way);
  json_.key("kinds");
  json_.begin_object();
  for (const BlockedKind& each : blocked.by_kind) {
    json_.key(kind_name(each.kind));
    json_.number(each.threads);
  }
  json_.end_object();
  json_.end_object();
  json_.key("snapshot_age_ms");
  json_.number(frame_.snapshot_age_ns / 1'000'000);
  const auto window = [&](std::string_view key, std::optional<uint64_t> ns) {
    json_.key(key);
    ns ? json_.number(*ns / 1'000'000) : json_.null();
  };
  window("rates_window_ms",
         frame_.activity != nullptr ? std::optional(frame_.activity->window_ns) : std::nullopt);
  window("locks_window_ms",
         frame_.locks != nullptr ? std::optional(frame_.locks->window.window_ns) : std::nullopt);
}

void TopJson::write() {
  Snapshot head;
  head.host = snapshot_.host;
  head.kernel = snapshot_.kernel;
  head.time_ns = frame_.time_ns;
  head.boot_ns = frame_.boot_ns;
  head.coverage = frame_.coverage;
  json_.begin_object();
  write_head(json_, "top", head);
  write_host();
  write_array(Tab::channels, [&](uint32_t row) { write_channel(row); });
  const std::vector<LockRow> locks = lock_rows(frame_);
  write_array(Tab::locks, [&](uint32_t row) { write_lock(locks[row]); });
  const std::vector<ProcessRow> processes = process_rows(frame_);
  write_array(Tab::processes, [&](uint32_t row) { write_process(processes[row]); });
  write_array(Tab::findings, [&](uint32_t row) { write_finding(frame_.findings[row]); });
  write_array(Tab::limits, [&](uint32_t row) { write_limit(json_, frame_.limits[row], users_); });
  json_.key("self");
  json_.begin_object();
  decimal("cpu_percent", frame_.self.cpu_percent);
  json_.key("rss_bytes");
  json_.number(frame_.self.rss_bytes);
  json_.end_object();
  json_.key("lost");
  json_.number(frame_.lost());
  json_.end_object();
}

}  // namespace

void write_top_json(Output& out, const TopFrame& frame, const TopForm& form) {
  TopJson(out, frame, form).write();
  out.put('\n');
}

}  // namespace ipcscope
