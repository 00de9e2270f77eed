// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/live_snapshot.h"

#include <algorithm>
#include <ctime>
#include <deque>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "collectors/session.h"

namespace ipcscope {

namespace {

using Clock = LiveSnapshot::Clock;
using Nanoseconds = std::chrono::nanoseconds;

/// A process costs as much as so many descriptors.
constexpr uint64_t process_work = 50;

/// What a piece of work costs before any was measured, ns.
constexpr double first_price = 2000;

/// What is not spent is saved for so long: a process with many descriptors has its turn, too.
constexpr Nanoseconds saved_max = std::chrono::seconds(10);

Nanoseconds cpu_time() {
  timespec time{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + Nanoseconds(time.tv_nsec);
}

Nanoseconds share_of(Nanoseconds time, double share) {
  return Nanoseconds(static_cast<Nanoseconds::rep>(static_cast<double>(time.count()) * share));
}

LiveSnapshot::Sighting sighting(const Sight& sight, std::string_view id) {
  const ChannelIndex index = sight.find(id);
  return index == no_index ? LiveSnapshot::Sighting{}
                           : LiveSnapshot::Sighting{&sight.snapshot,
                                                    &sight.snapshot.channels[index], sight.taken};
}

/// A look at some processes.
struct Look {
  std::shared_ptr<const Sight> sight;
  std::vector<pid_t> pids;  ///< those that no younger one has
};

}  // namespace

class LiveSnapshot::State {
 public:
  State(const Request& request, const ProcRoot& proc, const LiveBudget& budget)
      : request_(request), budget_(budget), session_(proc) {}

  /// Loads what is needed, so that it does not count as a cost of the first snapshot.
  void open() { session_.open(request_); }
  Result<void> take_whole();
  Result<void> refresh(std::span<const pid_t> pids);
  [[nodiscard]] Sighting find(std::string_view id) const;
  [[nodiscard]] const std::shared_ptr<const Sight>& whole() const { return whole_; }
  [[nodiscard]] const std::deque<Look>& looks() const { return looks_; }
  [[nodiscard]] uint64_t revision() const { return revision_; }

 private:
  [[nodiscard]] bool is_whole_earned(Clock::time_point now) const;
  [[nodiscard]] uint64_t work_of(pid_t pid) const;
  std::vector<pid_t> in_turn(std::span<const pid_t> pids) const;
  std::vector<pid_t> affordable(std::span<const pid_t> pids, uint64_t& work) const;
  Result<void> look_at(std::vector<pid_t> pids, uint64_t work);
  void forget_looks_at(const std::vector<pid_t>& pids);

  Request request_;
  LiveBudget budget_;
  Session session_;
  std::shared_ptr<const Sight> whole_;
  Nanoseconds whole_cost_{};
  uint64_t revision_ = 0;
  std::deque<Look> looks_;                                  ///< since the whole, the youngest first
  std::unordered_map<pid_t, Clock::time_point> looked_at_;  ///< since then
  double price_ = first_price;                              ///< of a piece of work, ns
  Nanoseconds saved_{};                                     ///< what looks may cost
  Clock::time_point saved_until_ = Clock::now();
};

Result<void> LiveSnapshot::State::take_whole() {
  const Clock::time_point begin = Clock::now();
  const Nanoseconds before = cpu_time();
  Result<Snapshot> taken = session_.take(request_);
  if (!taken) {
    return Failure(taken.error());
  }
  whole_ = std::make_shared<const Sight>(std::move(*taken), begin);
  looks_.clear();
  looked_at_.clear();
  revision_++;
  whole_cost_ = cpu_time() - before;
  return {};
}

bool LiveSnapshot::State::is_whole_earned(Clock::time_point now) const {
  const double share = session_.can_look_at_some() ? budget_.whole : budget_.only;
  return share_of(now - whole_->taken, share) >= whole_cost_;
}

/// In pieces, of which each costs about the same.
uint64_t LiveSnapshot::State::work_of(pid_t pid) const {
  const Process* process = whole_->snapshot.process(pid);
  return process_work + (process == nullptr ? 0 : process->fd_count.value_or(0));
}

/// Those that were never looked at first, then those whose turn is the longest ago.
std::vector<pid_t> LiveSnapshot::State::in_turn(std::span<const pid_t> pids) const {
  std::vector<std::pair<Clock::time_point, pid_t>> turns;
  turns.reserve(pids.size());
  for (const pid_t pid : pids) {
    const auto found = looked_at_.find(pid);
    turns.emplace_back(found == looked_at_.end() ? Clock::time_point::min() : found->second, pid);
  }
  std::stable_sort(turns.begin(), turns.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<pid_t> ordered;
  ordered.reserve(turns.size());
  for (const auto& [at, pid] : turns) {
    ordered.push_back(pid);
  }
  return ordered;
}

/// The first of them, as far as what was saved reaches. A process that it will never reach for is
/// left to the whole.
std::vector<pid_t> LiveSnapshot::State::affordable(std::span<const pid_t> pids,
                                                   uint64_t& work) const {
  const auto most = static_cast<double>(share_of(saved_max, budget_.look).count());
  std::vector<pid_t> chosen;
  for (const pid_t pid : pids) {
    const uint64_t more = work_of(pid);
    if (pid <= 0 || static_cast<double>(more) * price_ > most ||
        std::find(chosen.begin(), chosen.end(), pid) != chosen.end()) {
      continue;
    }
    if (static_cast<double>(work + more) * price_ > static_cast<double>(saved_.count())) {
      break;
    }
    work += more;
    chosen.push_back(pid);
  }
  return chosen;
}

/// What a younger look has, too, is not needed any more.
void LiveSnapshot::State::forget_looks_at(const std::vector<pid_t>& pids) {
  for (Look& look : looks_) {
    std::erase_if(look.pids, [&](pid_t pid) {
      return std::find(pids.begin(), pids.end(), pid) != pids.end();
    });
  }
  std::erase_if(looks_, [](const Look& look) { return look.pids.empty(); });
}

Result<void> LiveSnapshot::State::look_at(std::vector<pid_t> pids, uint64_t work) {
  Request request = request_;
  request.pids = std::move(pids);
  request.alone = true;
  const Clock::time_point begin = Clock::now();
  const Nanoseconds before = cpu_time();
  Result<Snapshot> taken = session_.take(request);
  if (taken) {
    forget_looks_at(request.pids);
    for (const pid_t pid : request.pids) {
      looked_at_[pid] = begin;
    }
    looks_.push_front(
        {std::make_shared<const Sight>(std::move(*taken), begin), std::move(request.pids)});
  }
  const Nanoseconds cost = cpu_time() - before;
  saved_ -= cost;
  const double measured = static_cast<double>(cost.count()) / static_cast<double>(work);
  price_ = (3 * price_ + measured) / 4;
  return taken ? Result<void>() : Failure(taken.error());
}

Result<void> LiveSnapshot::State::refresh(std::span<const pid_t> pids) {
  const Clock::time_point now = Clock::now();
  saved_ = std::min(saved_ + share_of(now - saved_until_, budget_.look),
                    share_of(saved_max, budget_.look));
  saved_until_ = now;
  if (is_whole_earned(now)) {
    return take_whole();
  }
  if (!session_.can_look_at_some()) {
    return {};
  }
  uint64_t work = 0;
  std::vector<pid_t> chosen = affordable(in_turn(pids), work);
  return chosen.empty() ? Result<void>() : look_at(std::move(chosen), work);
}

LiveSnapshot::Sighting LiveSnapshot::State::find(std::string_view id) const {
  for (const Look& look : looks_) {
    if (const Sighting found = sighting(*look.sight, id); found.channel != nullptr) {
      return found;
    }
  }
  return sighting(*whole_, id);
}

LiveSnapshot::LiveSnapshot(std::unique_ptr<State> state) : state_(std::move(state)) {}
LiveSnapshot::~LiveSnapshot() = default;

Result<std::unique_ptr<LiveSnapshot>> LiveSnapshot::start(const Request& request,
                                                          const ProcRoot& proc,
                                                          const LiveBudget& budget) {
  auto state = std::make_unique<State>(request, proc, budget);
  state->open();
  if (const Result<void> taken = state->take_whole(); !taken) {
    return Failure(taken.error());
  }
  return std::unique_ptr<LiveSnapshot>(new LiveSnapshot(std::move(state)));
}

Result<void> LiveSnapshot::refresh(std::span<const pid_t> pids) { return state_->refresh(pids); }
Result<void> LiveSnapshot::refresh_whole() { return state_->take_whole(); }
const Snapshot& LiveSnapshot::whole() const { return state_->whole()->snapshot; }
LiveSnapshot::Clock::time_point LiveSnapshot::whole_taken() const { return state_->whole()->taken; }
std::shared_ptr<const Sight> LiveSnapshot::whole_sight() const { return state_->whole(); }
std::vector<std::shared_ptr<const Sight>> LiveSnapshot::looks() const {
  std::vector<std::shared_ptr<const Sight>> sights;
  for (const Look& look : state_->looks()) {
    sights.push_back(look.sight);
  }
  return sights;
}
uint64_t LiveSnapshot::revision() const { return state_->revision(); }
LiveSnapshot::Sighting LiveSnapshot::find(std::string_view id) const { return state_->find(id); }
LiveSnapshot::Sighting LiveSnapshot::find_in_whole(std::string_view id) const {
  return sighting(*state_->whole(), id);
}

}  // namespace ipcscope
