// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/top/sampler.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <utility>

#include "analysis/limits.h"
#include "cli/leak_report.h"
#include "cli/render/leaks.h"
#include "cli/top/channel_rows.h"
#include "cli/top/detail.h"
#include "cli/top/finding_log.h"
#include "cli/top/limit_rows.h"
#include "cli/top/pace.h"
#include "cli/why_report.h"
#include "collectors/activity/activity_probe.h"
#include "collectors/base/parse.h"
#include "collectors/bpf_refusal.h"
#include "collectors/leftovers.h"
#include "collectors/limits.h"
#include "collectors/live_snapshot.h"
#include "collectors/locks/lock_probe.h"
#include "collectors/session.h"

namespace ipcscope {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

/// Waits that last shorter are no finding, as in why.
constexpr uint64_t long_wait_ns = 10'000'000'000;
/// The rules of locks speak about windows of some seconds.
constexpr seconds finding_window{5};
/// What a window of locks showed stays on the list of findings for so long.
constexpr int64_t linger_ns = 30'000'000'000;

nanoseconds cpu_time(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return seconds(time.tv_sec) + nanoseconds(time.tv_nsec);
}

Coverage missing_probe(const char* source, const Error& error, const char* lost) {
  Coverage coverage;
  coverage.source = source;
  coverage.state = Coverage::State::unavailable;
  coverage.reason = error.text() + "; " + lost;
  coverage.hint = advice_after(error);
  return coverage;
}

/// A probe that comes and goes. One that could not be attached is not tried again.
template <typename Probe>
struct Attachment {
  std::unique_ptr<Probe> probe;
  std::optional<Coverage> problem;
  Clock::time_point since;

  /// Tells whether it is there now.
  template <typename Start>
  bool want(bool wanted, const char* source, const char* lost, Start start) {
    if (!wanted) {
      probe.reset();
    } else if (probe == nullptr && !problem) {
      Result<std::unique_ptr<Probe>> started = start();
      if (started) {
        probe = std::move(*started);
        since = Clock::now();
      } else {
        problem = missing_probe(source, started.error(), lost);
      }
    }
    return probe != nullptr;
  }
};

uint64_t resident_bytes(const ProcRoot& proc) {
  const Result<std::string> statm = proc.read(std::string("self/statm"));
  std::string_view rest = statm ? std::string_view(*statm) : std::string_view();
  next_word(rest);
  return next_number<uint64_t>(rest).value_or(0) * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

class Sampler::State {
 public:
  State(const Form& form, const ProcRoot& proc) : form_(form), proc_(proc) {}

  Result<void> start();
  void prepare(const Wanted& wanted);
  [[nodiscard]] bool polls() const { return locks_.probe != nullptr; }
  void poll(milliseconds timeout) { locks_.probe->poll(timeout); }
  std::shared_ptr<const TopFrame> sample(const Wanted& wanted, bool at_once);

 private:
  /// To keep.
  [[nodiscard]] std::shared_ptr<const Snapshot> snapshot() const {
    const std::shared_ptr<const Sight> sight = live_->whole_sight();
    return {sight, &sight->snapshot};
  }
  [[nodiscard]] bool uses_bpf() const { return form_.source != SourceChoice::proc; }
  void look(const Wanted& wanted);
  void keep_looks();
  [[nodiscard]] std::vector<pid_t> important_pids(const Wanted& wanted) const;
  void measure(const Wanted& wanted);
  void measure_locks(const Wanted& wanted);
  void judge(const Wanted& wanted);
  void judge_waits();
  void judge_leaks();
  void judge_host_limits();
  void note_self();
  void tell(const Wanted& wanted, TopFrame& frame);
  [[nodiscard]] std::vector<Coverage> coverage() const;

  Form form_;
  const ProcRoot& proc_;
  std::unique_ptr<LiveSnapshot> live_;
  std::shared_ptr<const WholeRows> whole_;
  std::vector<std::shared_ptr<const LookRows>> looks_;
  Attachment<ActivityProbe> activity_;
  Attachment<LockProbe> locks_;
  std::shared_ptr<const Activity> last_activity_;
  std::shared_ptr<const LockReport> last_locks_;
  FindingLog log_;
  std::optional<int64_t> findings_ns_, limits_ns_;
  std::vector<LimitUse> limits_;
  std::vector<Coverage> leaks_coverage_, limits_coverage_, look_coverage_;
  Pace whole_pace_, waits_pace_, leaks_pace_, limits_pace_, detail_pace_;
  std::optional<FrameDetail> detail_;
  std::optional<WantedDetail> detail_wanted_;
  SelfUse self_;
  std::optional<Clock::time_point> self_time_;
  nanoseconds self_cpu_{};
  int64_t boot_ns_ = 0;
};

Result<void> Sampler::State::start() {
  Request request;
  request.source = form_.source;
  request.relations = true;  // for the chains of waits
  Result<std::unique_ptr<LiveSnapshot>> live = LiveSnapshot::start(request, proc_);
  if (!live) {
    return Failure(live.error());
  }
  live_ = std::move(*live);
  note_self();
  return {};
}

void Sampler::State::prepare(const Wanted& wanted) {
  const bool rates = wanted.wants(Tab::channels) || wanted.wants(Tab::processes);
  const bool waits =
      wanted.wants(Tab::locks) || wanted.wants(Tab::processes) || wanted.wants(Tab::findings);
  if (!activity_.want(rates && uses_bpf(), "bpf-activity", "rates are unknown",
                      [&] { return ActivityProbe::start(proc_); })) {
    last_activity_.reset();
  }
  if (!locks_.want(waits && uses_bpf(), "bpf-locks", "waits are not measured",
                   [&] { return LockProbe::start({}, proc_); })) {
    last_locks_.reset();
  }
}

/// Somebody who reads a row in full is not to be told what was: the whole host is looked at anew as
/// often as a twentieth of a CPU allows.
void Sampler::State::look(const Wanted& wanted) {
  constexpr double share = 0.05;
  constexpr seconds least{1};
  const auto begin = Clock::now();
  const bool opened = wanted.detail && wanted.detail != detail_wanted_;
  const bool anew = wanted.detail && begin - live_->whole_taken() > least &&
                    (opened || whole_pace_.is_due(begin, share, least));
  const nanoseconds before = cpu_time(CLOCK_THREAD_CPUTIME_ID);
  const Result<void> done = anew ? live_->refresh_whole() : live_->refresh(important_pids(wanted));
  if (anew) {
    whole_pace_.done(begin, cpu_time(CLOCK_THREAD_CPUTIME_ID) - before);
  }
  look_coverage_.clear();
  if (!done) {
    look_coverage_.push_back({"snapshot", Coverage::State::partial, 0, 0, 0, done.error().text(),
                              "what is shown is older than it could be"});
  }
  keep_looks();
}

/// Those on the screen, then those at channels that are new.
std::vector<pid_t> Sampler::State::important_pids(const Wanted& wanted) const {
  constexpr size_t most_new = 64;
  std::vector<pid_t> pids(wanted.pids.begin(), wanted.pids.end());
  size_t added = 0;
  if (last_activity_ != nullptr) {
    for (const ChannelActivity& each : last_activity_->channels) {
      if (added < most_new && live_->find(each.id).channel == nullptr) {
        pids.insert(pids.end(), each.pids.begin(), each.pids.end());
        added += each.pids.size();
      }
    }
  }
  return pids;
}

/// What follows from a look is found out once, however many frames show it.
void Sampler::State::keep_looks() {
  if (whole_ == nullptr || whole_->revision != live_->revision()) {
    whole_ = make_whole_rows(live_->whole_sight(), live_->revision());
    looks_.clear();
  }
  std::vector<std::shared_ptr<const LookRows>> kept;
  for (const std::shared_ptr<const Sight>& look : live_->looks()) {
    const auto known = std::find_if(
        looks_.begin(), looks_.end(),
        [&](const std::shared_ptr<const LookRows>& each) { return each->sight == look; });
    kept.push_back(known != looks_.end() ? *known : make_look_rows(*whole_, look));
  }
  looks_ = std::move(kept);
}

void Sampler::State::measure(const Wanted& wanted) {
  if (activity_.probe != nullptr) {
    Result<Activity> activity = activity_.probe->take();
    if (activity) {
      last_activity_ = std::make_shared<const Activity>(std::move(*activity));
    } else {
      activity_.problem = missing_probe("bpf-activity", activity.error(), "rates are unknown");
      activity_.probe.reset();
      last_activity_.reset();
    }
  }
  if (locks_.probe != nullptr) {
    measure_locks(wanted);
  }
}

/// A window for each frame, but for findings a longer one.
void Sampler::State::measure_locks(const Wanted& wanted) {
  const bool only_findings = wanted.wants(Tab::findings) && !wanted.every_tab;
  if (only_findings && Clock::now() - locks_.since < finding_window) {
    return;
  }
  Result<LockWindow> window = locks_.probe->window();
  if (!window) {
    locks_.problem = missing_probe("bpf-locks", window.error(), "waits are not measured");
    locks_.probe.reset();
    last_locks_.reset();
    return;
  }
  locks_.probe->restart();
  locks_.since = Clock::now();
  last_locks_ = std::make_shared<const LockReport>(make_lock_report(std::move(*window), {}, {}));
  std::vector<LiveFinding> found;
  for (const Finding& each : last_locks_->findings) {
    found.push_back({each, finding_identity(each), {}, 0});
  }
  log_.take("locks", std::move(found), boot_ns_, linger_ns);
}

void Sampler::State::judge(const Wanted& wanted) {
  const bool seen = wanted.wants(Tab::findings);
  if (locks_.probe == nullptr) {
    log_.take("locks", {}, boot_ns_, linger_ns);
  }
  const auto run = [&](Pace& pace, double share, seconds least, auto step) {
    const auto begin = Clock::now();
    if (!pace.is_due(begin, share, least)) {
      return;
    }
    const nanoseconds before = cpu_time(CLOCK_THREAD_CPUTIME_ID);
    step();
    pace.done(begin, cpu_time(CLOCK_THREAD_CPUTIME_ID) - before);
  };
  run(waits_pace_, seen ? 0.004 : 0.001, seconds(seen ? 1 : 5), [&] { judge_waits(); });
  run(leaks_pace_, seen ? 0.002 : 0.0005, seconds(seen ? 5 : 30), [&] { judge_leaks(); });
  run(limits_pace_, wanted.wants(Tab::limits) ? 0.005 : 0.0005,
      seconds(wanted.wants(Tab::limits) ? 2 : 30), [&] { judge_host_limits(); });
}

void Sampler::State::judge_waits() {
  WhyQuestion question;
  question.longer_than_ns = long_wait_ns;
  const std::unique_ptr<WhyReport> report =
      explain(snapshot(), live_->whole_taken(), question, proc_);
  std::vector<LiveFinding> found;
  for (const Finding& each : report->findings) {
    found.push_back({each, finding_identity(each), {}, 0});
  }
  log_.take("why", std::move(found), boot_ns_);
  findings_ns_ = boot_ns_;
}

void Sampler::State::judge_leaks() {
  const Snapshot& snapshot = live_->whole();
  leaks_coverage_.clear();
  const Leftovers leftovers = find_leftovers(snapshot, proc_, form_.source, leaks_coverage_);
  LeakFilter filter;
  filter.name_space = 0;
  if (::geteuid() != 0) {
    filter.user = ::geteuid();
  }
  const LeakReport report = make_leak_report(
      snapshot, leftovers,
      find_leaks(snapshot, leftovers, {.min_age_s = std::nullopt, .own_pid = ::getpid()}), filter,
      false, proc_);
  std::vector<LiveFinding> found;
  for (const Leak& leak : report.leaks) {
    if (leak.verdict == Verdict::leaked) {
      Finding finding = leak_finding(leak);
      std::string identity = finding_identity(finding);
      found.push_back({std::move(finding), std::move(identity), {}, 0});
    }
  }
  log_.take("leaks", std::move(found), boot_ns_);
}

void Sampler::State::judge_host_limits() {
  const Result<LimitFacts> facts = collect_limits(live_->whole(), proc_);
  limits_coverage_.clear();
  if (!facts) {
    limits_coverage_.push_back({"limits", Coverage::State::unavailable, 0, 0, 0,
                                facts.error().text(), "limits are not shown"});
    return;
  }
  limits_coverage_ = facts->coverage;
  limits_ = judge_limits(*facts);
  limits_ns_ = boot_ns_;
  std::vector<Finding> near = near_limits(limits_);
  std::vector<LiveFinding> found;
  for (const LimitUse& use : limits_) {
    if (use.severity != Severity::info && found.size() < near.size()) {
      found.push_back({std::move(near[found.size()]), limit_identity(use), {}, 0});
    }
  }
  log_.take("limits", std::move(found), boot_ns_);
}

void Sampler::State::note_self() {
  const auto now = Clock::now();
  const nanoseconds cpu = cpu_time(CLOCK_PROCESS_CPUTIME_ID);
  if (self_time_ && now > *self_time_) {
    self_.cpu_percent = static_cast<double>((cpu - self_cpu_).count()) /
                        static_cast<double>(nanoseconds(now - *self_time_).count()) * 100;
  }
  self_time_ = now;
  self_cpu_ = cpu;
  self_.rss_bytes = resident_bytes(proc_);
}

std::vector<Coverage> Sampler::State::coverage() const {
  std::vector<Coverage> all = live_->whole().coverage;
  const auto add = [&](const std::vector<Coverage>& more) {
    all.insert(all.end(), more.begin(), more.end());
  };
  add(look_coverage_);
  for (const std::optional<Coverage>* problem : {&activity_.problem, &locks_.problem}) {
    if (*problem) {
      all.push_back(**problem);
    }
  }
  if (last_activity_ != nullptr) {
    add(last_activity_->coverage);
  }
  if (last_locks_ != nullptr) {
    add(last_locks_->window.coverage);
  }
  add(leaks_coverage_);
  add(limits_coverage_);
  return all;
}

/// The pane is told anew as often as two hundredths of a CPU allow, and at once when it is opened.
void Sampler::State::tell(const Wanted& wanted, TopFrame& frame) {
  constexpr double share = 0.02;
  if (!wanted.detail) {
    detail_.reset();
    detail_wanted_.reset();
    return;
  }
  const auto begin = Clock::now();
  if (wanted.detail != detail_wanted_) {
    detail_pace_.forget();
  }
  if (detail_pace_.is_due(begin, share, milliseconds(0))) {
    const nanoseconds before = cpu_time(CLOCK_THREAD_CPUTIME_ID);
    detail_ = tell_detail(*wanted.detail, frame, form_.utf8, proc_);
    detail_wanted_ = wanted.detail;
    detail_pace_.done(begin, cpu_time(CLOCK_THREAD_CPUTIME_ID) - before);
  }
  frame.detail = detail_;
}

std::shared_ptr<const TopFrame> Sampler::State::sample(const Wanted& wanted, bool at_once) {
  auto frame = std::make_shared<TopFrame>();
  std::string host, kernel;
  describe_host(host, kernel, frame->time_ns, frame->boot_ns);
  boot_ns_ = frame->boot_ns;
  // What is known already is told without another look; a row that is asked for is looked at.
  if (!at_once || whole_ == nullptr || wanted.detail != detail_wanted_) {
    look(wanted);
  }
  if (!at_once) {
    measure(wanted);
    judge(wanted);
    note_self();
  }
  frame->whole = whole_;
  frame->looks = looks_;
  frame->snapshot_age_ns =
      static_cast<uint64_t>(nanoseconds(Clock::now() - live_->whole_taken()).count());
  frame->activity = last_activity_;
  frame->locks = last_locks_;
  frame->findings = log_.all();
  frame->findings_ns = findings_ns_;
  frame->limits = limits_;
  frame->limits_ns = limits_ns_;
  frame->host = read_host_load(proc_);
  frame->self = self_;
  frame->coverage = coverage();
  tell(wanted, *frame);
  return frame;
}

Sampler::Sampler(std::unique_ptr<State> state) : state_(std::move(state)) {}
Sampler::~Sampler() = default;

Result<std::unique_ptr<Sampler>> Sampler::start(const Form& form, const ProcRoot& proc) {
  auto state = std::make_unique<State>(form, proc);
  if (Result<void> started = state->start(); !started) {
    return Failure(started.error());
  }
  return std::unique_ptr<Sampler>(new Sampler(std::move(state)));
}

void Sampler::prepare(const Wanted& wanted) { state_->prepare(wanted); }
bool Sampler::polls() const { return state_->polls(); }
void Sampler::poll(milliseconds timeout) { state_->poll(timeout); }
std::shared_ptr<const TopFrame> Sampler::sample(const Wanted& wanted, bool at_once) {
  return state_->sample(wanted, at_once);
}

}  // namespace ipcscope
