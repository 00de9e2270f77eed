// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>

#include <algorithm>

#include "analysis/lock_use.h"
#include "cli/render/channel_json.h"
#include "cli/render/finding.h"
#include "cli/render/locks.h"

namespace ipcscope {

namespace {

class LocksJson {
 public:
  LocksJson(Json& json, const LockReport& report, bool one_line)
      : json_(json), report_(report), window_(report.window), one_line_(one_line) {}

  void write();
  void write_lock_object(const LockUse& lock);

 private:
  void begin_item() {
    if (!one_line_) {
      json_.break_line();
    }
    json_.begin_object();
  }
  void count(std::string_view key, uint64_t value) {
    json_.key(key);
    json_.number(value);
  }
  void milliseconds(std::string_view key, uint64_t ns);
  /// 0 stands for what is not known.
  void known_milliseconds(std::string_view key, uint64_t ns) {
    if (ns != 0) {
      milliseconds(key, ns);
    } else {
      json_.key(key);
      json_.null();
    }
  }
  void fraction(std::string_view key, double value) {
    json_.key(key);
    json_.raw(fmt::format("{:.4f}", value));
  }
  void number_of(std::string_view key, uint32_t thread) {
    json_.key(key);
    thread < window_.threads.size() ? json_.number(window_.threads[thread].tid) : json_.null();
  }
  void write_who(uint32_t thread);
  void write_times(const LockUse& lock);
  void write_holders(const LockUse& lock);
  void write_pairs(const LockUse& lock);
  void write_stacks(const LockUse& lock);
  void write_histogram_of(std::string_view key, const DurationHistogram& histogram);
  void write_taken(const LockUse& lock);
  void write_deep();
  void write_orders();
  void write_locks_array();
  void write_threads();

  Json& json_;
  const LockReport& report_;
  const LockWindow& window_;
  bool one_line_;
};

/// As many digits as it takes: a nanosecond is not lost.
void LocksJson::milliseconds(std::string_view key, uint64_t ns) {
  std::string text = fmt::format("{}.{:06}", ns / 1'000'000, ns % 1'000'000);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) {
    text.pop_back();
  }
  json_.key(key);
  json_.raw(text);
}

void LocksJson::write_who(uint32_t thread) {
  if (thread >= window_.threads.size()) {
    json_.key("pid");
    json_.null();
    json_.key("tid");
    json_.null();
    json_.text("comm", "", true);
    return;
  }
  const LockThread& who = window_.threads[thread];
  json_.key("pid");
  who.pid != 0 ? json_.number(who.pid) : json_.null();
  json_.key("tid");
  json_.number(who.tid);
  json_.text("comm", who.comm, true);
}

void LocksJson::write_times(const LockUse& lock) {
  json_.key("wait_ms");
  json_.begin_object();
  milliseconds("total", lock.total_ns);
  milliseconds("mean", lock.total_ns / std::max(lock.waits, uint64_t{1}));
  milliseconds("p50", percentile_of(lock, 0.5));
  milliseconds("p90", percentile_of(lock, 0.9));
  milliseconds("p99", percentile_of(lock, 0.99));
  milliseconds("max", lock.max_ns);
  json_.end_object();
  json_.key("results");
  json_.begin_object();
  for (size_t i = 0; i < wait_end_count; i++) {
    count(wait_end_name(static_cast<WaitEnd>(i)), lock.ends[i]);
  }
  json_.end_object();
}

void LocksJson::write_holders(const LockUse& lock) {
  json_.key("holders");
  json_.begin_array();
  for (const LockHolder& each : holders_of(lock)) {
    json_.begin_object();
    write_who(each.thread);
    fraction("share", each.share);
    json_.member("source", holder_source_name(each.source));
    count("waits", each.waits);
    milliseconds("wait_ms", each.wait_ns);
    json_.end_object();
  }
  json_.end_array();
}

void LocksJson::write_pairs(const LockUse& lock) {
  json_.key("pairs");
  json_.begin_array();
  for (const LockPair& pair : lock.pairs) {
    json_.begin_object();
    number_of("waiter", pair.waiter);
    number_of("holder", pair.holder);
    json_.member("source", holder_source_name(pair.source));
    count("waits", pair.waits);
    count("unfinished", pair.unfinished);
    milliseconds("wait_ms", pair.wait_ns);
    milliseconds("max_ms", pair.max_ns);
    count("attempts", pair.attempts);
    milliseconds("attempt_max_ms", pair.attempt_max_ns);
    count("overtakes", pair.overtakes);
    count("overtakes_max", pair.overtakes_max);
    json_.end_object();
  }
  json_.end_array();
}

void LocksJson::write_histogram_of(std::string_view key, const DurationHistogram& histogram) {
  json_.key(key);
  json_.begin_array();
  for (size_t i = 0; i < DurationHistogram::buckets; i++) {
    if (histogram.count(i) == 0) {
      continue;
    }
    json_.begin_object();
    count("from_ns", DurationHistogram::duration_of_bucket(i));
    json_.key("to_ns");
    i + 1 < DurationHistogram::buckets ? json_.number(DurationHistogram::duration_of_bucket(i + 1))
                                       : json_.null();
    count("count", histogram.count(i));
    json_.end_object();
  }
  json_.end_array();
}

/// Null where not every taking was seen.
void LocksJson::write_taken(const LockUse& lock) {
  json_.key("taken");
  if (!window_.deep) {
    json_.null();
    return;
  }
  const LockHold sum = all_holds(lock);
  json_.begin_object();
  count("count", sum.taken);
  count("given", sum.given);
  count("signals", sum.signals);
  json_.key("held_ms");
  json_.begin_object();
  milliseconds("total", sum.total_ns);
  milliseconds("mean", sum.total_ns / std::max(sum.taken, uint64_t{1}));
  milliseconds("p50", held_percentile(lock, 0.5));
  milliseconds("p90", held_percentile(lock, 0.9));
  milliseconds("p99", held_percentile(lock, 0.99));
  milliseconds("max", sum.max_ns);
  json_.end_object();
  write_histogram_of("histogram", lock.held);
  json_.key("threads");
  json_.begin_array();
  for (const LockHold& each : lock.holds) {
    json_.begin_object();
    write_who(each.thread);
    count("count", each.taken);
    count("given", each.given);
    count("signals", each.signals);
    milliseconds("held_ms", each.total_ns);
    milliseconds("max_ms", each.max_ns);
    json_.end_object();
  }
  json_.end_array();
  json_.end_object();
}

void LocksJson::write_orders() {
  json_.key("orders");
  json_.begin_array();
  for (const LockOrder& each : window_.orders) {
    begin_item();
    json_.text("held", window_.locks[each.held].id);
    json_.text("wanted", window_.locks[each.wanted].id);
    json_.key("held_shared");
    json_.boolean(each.held_shared);
    json_.key("wanted_shared");
    json_.boolean(each.wanted_shared);
    count("count", each.count);
    number_of("thread", each.thread);
    json_.key("several_threads");
    json_.boolean(each.several);
    json_.key("guards");
    json_.begin_array();
    for (const uint32_t guard : each.guards) {
      json_.string(window_.locks[guard].id);
    }
    json_.end_array();
    json_.end_object();
  }
  json_.end_array();
}

void LocksJson::write_deep() {
  json_.key("deep");
  if (!window_.deep) {
    json_.null();
    return;
  }
  const DeepFacts& deep = *window_.deep;
  const auto known = [&](std::string_view key, const std::optional<uint64_t>& value) {
    json_.key(key);
    value ? json_.number(*value) : json_.null();
  };
  json_.begin_object();
  count("probes", deep.probes);
  count("stepped", deep.stepped);
  known("call_ns", deep.call_ns);
  known("stepped_call_ns", deep.stepped_call_ns);
  count("calls", deep.calls);
  json_.key("lost");
  json_.begin_object();
  count("holds", deep.lost_holds);
  count("orders", deep.lost_orders);
  count("held", deep.lost_held);
  json_.end_object();
  json_.end_object();
}

void LocksJson::write_stacks(const LockUse& lock) {
  json_.key("stacks");
  json_.begin_array();
  for (const LockStack& stack : lock.stacks) {
    json_.begin_object();
    write_who(stack.thread);
    json_.member("role", stack.waker ? "waker" : "waiter");
    count("count", stack.count);
    json_.key("frames");
    json_.begin_array();
    for (const std::string& frame : stack.frames) {
      json_.string(frame);
    }
    json_.end_array();
    json_.text("problem", stack.problem, true);
    json_.end_object();
  }
  json_.end_array();
}

void LocksJson::write_lock_object(const LockUse& lock) {
  begin_item();
  json_.text("id", lock.id);
  json_.member("kind", kind_name(lock.kind));
  json_.text("primitive", lock.primitive, true);
  json_.text("name", lock.name, true);
  json_.member("purpose", purpose_name(lock.purpose));
  json_.key("in_the_way");
  json_.boolean(is_in_the_way(lock));
  json_.text("operation", lock.operation, true);
  json_.member("holder_source", holder_source_name(lock.source));
  count("waits", lock.waits);
  count("unfinished", lock.unfinished);
  write_times(lock);
  write_holders(lock);
  write_pairs(lock);
  uint64_t overtakes = 0;
  for (const LockPair& pair : lock.pairs) {
    overtakes = std::max(overtakes, pair.overtakes_max);
  }
  count("overtakes_max", overtakes);
  count("woken_again", lock.woken_again);
  known_milliseconds("longest_hold_ms", lock.longest_hold_ns);
  known_milliseconds("attempt_p50_ms", lock.attempt_p50_ns);
  write_histogram_of("histogram", lock.histogram);
  write_taken(lock);
  json_.key("facts");
  json_.begin_object();
  for (const auto& [key, value] : lock.facts) {
    count(key, value);
  }
  json_.end_object();
  write_stacks(lock);
  json_.end_object();
}

void LocksJson::write_locks_array() {
  json_.key("locks");
  json_.begin_array();
  for (const std::vector<uint32_t>* list :
       {&report_.in_the_way, &report_.idle, &report_.not_waited}) {
    const size_t most =
        report_.form.top != 0 ? std::min(report_.form.top, list->size()) : list->size();
    for (size_t i = 0; i < most; i++) {
      write_lock_object(report_.lock((*list)[i]));
    }
  }
  json_.end_array();
}

void LocksJson::write_threads() {
  json_.key("threads");
  json_.begin_array();
  for (const LockThreadUse& each : report_.threads(true)) {
    begin_item();
    write_who(each.thread);
    count("waits", each.waits);
    count("unfinished", each.unfinished);
    milliseconds("wait_ms", each.wait_ns);
    milliseconds("max_ms", each.max_ns);
    milliseconds("idle_ms", each.idle_ns);
    milliseconds("held_up_ms", each.held_up_ns);
    count("overtakes_max", each.overtakes_max);
    milliseconds("attempt_max_ms", each.attempt_max_ns);
    json_.text("lock", each.lock == no_index ? std::string() : report_.lock(each.lock).id, true);
    number_of("behind", each.behind);
    json_.end_object();
  }
  json_.end_array();
}

void LocksJson::write() {
  Snapshot head;
  head.host = window_.host;
  head.kernel = window_.kernel;
  head.time_ns = window_.time_ns;
  head.boot_ns = window_.boot_ns;
  head.coverage = window_.coverage;
  json_.begin_object();
  write_head(json_, "locks", head);
  milliseconds("window_ms", window_.window_ns);
  write_locks_array();
  write_threads();
  write_findings(json_, report_.findings, one_line_);
  json_.key("lost");
  json_.begin_object();
  count("locks", window_.lost_locks);
  count("pairs", window_.lost_pairs);
  json_.end_object();
  write_deep();
  write_orders();
  json_.end_object();
}

}  // namespace

void write_locks_json(Output& out, const LockReport& report, bool one_line) {
  Json json(out);
  LocksJson(json, report, one_line).write();
  out.put('\n');
}

void write_lock_json(Json& json, const LockReport& report, uint32_t lock) {
  LocksJson(json, report, true).write_lock_object(report.lock(lock));
}

}  // namespace ipcscope
