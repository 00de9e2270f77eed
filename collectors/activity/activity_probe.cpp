// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/activity/activity_probe.h"

#include <bpf/bpf.h>
#include <fmt/format.h>

#include <array>
#include <chrono>
#include <utility>
#include <vector>

#include "collectors/activity/activity_calls.h"
#include "collectors/activity/activity_program.h"
#include "collectors/activity/activity_sums.h"
#include "collectors/base/fd.h"
#include "collectors/bpf_map.h"
#include "collectors/kernel_layout.h"
#include "collectors/trace/live_names.h"

namespace ipcscope {

namespace {

using Clock = std::chrono::steady_clock;

/// What was not counted, up to some moment.
struct Misses {
  uint64_t lost = 0;      ///< operations for which the map had no room
  uint64_t unknown = 0;   ///< at descriptors that were closed meanwhile
  uint64_t foreign = 0;   ///< calls of 32-bit programs
  uint64_t too_long = 0;  ///< messages of which the bytes are missing
  uint64_t busy = 0;      ///< calls that came while the program ran on their CPU

  [[nodiscard]] Misses since(const Misses& before) const {
    return {lost - before.lost, unknown - before.unknown, foreign - before.foreign,
            too_long - before.too_long, busy - before.busy};
  }
};

}  // namespace

class ActivityProbe::State {
 public:
  explicit State(const ProcRoot& proc) : names_(proc) {}
  ~State() {
    links_.clear();
    if (program_.destroy != nullptr) {
      program_.destroy(program_.skeleton);
    }
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  Result<void> start();
  Result<Activity> take();

 private:
  [[nodiscard]] Misses misses() const;
  [[nodiscard]] Coverage coverage(const Misses& misses) const;

  activity_program program_{};
  std::vector<Fd> links_;
  bool sees_rings_ = false;
  LiveTraceNames names_;
  ActivitySums sums_{names_};
  std::vector<ActivityPair> pairs_;
  Misses missed_;
  Clock::time_point taken_;
};

Result<void> ActivityProbe::State::start() {
  const Result<kernel_layout> layout = read_kernel_layout();
  if (!layout) {
    return Failure(layout.error());
  }
  const std::array<activity_call, TRACE_CALLS> calls = activity_calls();
  int error = load_activity(&program_, &*layout, calls.data(), 1);
  if (error != 0) {
    error = load_activity(&program_, &*layout, calls.data(), 0);
  }
  if (error != 0) {
    return system_failure("loading the BPF programs of activity", -error);
  }
  bpf_test_run_opts run{};
  run.sz = sizeof run;
  if (::bpf_prog_test_run_opts(program_.self, &run) != 0) {
    return system_failure("running a BPF program of activity");
  }
  taken_ = Clock::now();
  const int exit = ::bpf_raw_tracepoint_open("sys_exit", program_.exit);
  if (exit < 0) {
    return system_failure("attaching to the tracepoint sys_exit");
  }
  links_.emplace_back(exit);
  // Before 5.19 a request does not have its result in it.
  if (layout->offset[KERNEL_MEMBER_io_kiocb_fd] != MEMBER_ABSENT) {
    const int ring = ::bpf_raw_tracepoint_open("io_uring_complete", program_.ring);
    if (ring >= 0) {
      links_.emplace_back(ring);
      sees_rings_ = true;
    }
  }
  return {};
}

Misses ActivityProbe::State::misses() const {
  const volatile activity_counters& counters = *program_.counters;
  Misses misses{counters.lost, counters.unknown, counters.foreign, counters.too_long, 0};
  bpf_prog_info info{};
  u32 size = sizeof info;
  if (::bpf_obj_get_info_by_fd(program_.exit, &info, &size) == 0) {
    misses.busy = info.recursion_misses;
  }
  return misses;
}

Coverage ActivityProbe::State::coverage(const Misses& misses) const {
  Coverage coverage;
  coverage.source = "activity";
  coverage.lost = misses.lost;
  coverage.unreadable = misses.unknown + misses.foreign + misses.busy;
  for (const ActivityPair& pair : pairs_) {
    coverage.checked +=
        pair.value.operations[ACTIVITY_READ] + pair.value.operations[ACTIVITY_WRITE];
  }
  const auto note = [&](uint64_t count, const char* what) {
    if (count > 0) {
      coverage.state = Coverage::State::partial;
      coverage.reason += fmt::format("{}{} {}", coverage.reason.empty() ? "" : "; ", count, what);
    }
  };
  note(misses.lost, "operations of more processes and channels than are counted at a time");
  note(misses.foreign, "calls of 32-bit programs, which are not looked at");
  note(misses.unknown, "operations at descriptors that were closed before they ended");
  note(misses.too_long, "messages that were counted without their bytes");
  note(misses.busy, "calls that came while another was counted");
  if (!sees_rings_) {
    coverage.state = Coverage::State::partial;
    coverage.reason += coverage.reason.empty() ? "" : "; ";
    coverage.reason += "what goes through io_uring, which this kernel does not show";
  }
  return coverage;
}

Result<Activity> ActivityProbe::State::take() {
  pairs_.clear();
  const auto keep = [&](const activity_key& key, const activity_value& value) {
    pairs_.push_back({key, value});
  };
  if (const Result<void> read = take_all<activity_key, activity_value>(program_.pairs, keep);
      !read) {
    return Failure(read.error());
  }
  const Clock::time_point now = Clock::now();
  const Misses missed = misses();
  Activity activity;
  activity.window_ns = static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(now - taken_).count());
  sums_.add(pairs_, activity);
  const Misses since = missed.since(missed_);
  activity.lost = since.lost;
  activity.coverage.push_back(coverage(since));
  taken_ = now;
  missed_ = missed;
  return activity;
}

ActivityProbe::ActivityProbe(std::unique_ptr<State> state) : state_(std::move(state)) {}
ActivityProbe::~ActivityProbe() = default;

Result<std::unique_ptr<ActivityProbe>> ActivityProbe::start(const ProcRoot& proc) {
  auto state = std::make_unique<State>(proc);
  if (const Result<void> started = state->start(); !started) {
    return Failure(started.error());
  }
  return std::unique_ptr<ActivityProbe>(new ActivityProbe(std::move(state)));
}

Result<Activity> ActivityProbe::take() { return state_->take(); }

}  // namespace ipcscope
