// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/live_snapshot.h"

#include "collectors/session.h"

namespace ipcscope {

class LiveSnapshot::State {
 public:
  Request request;
  const ProcRoot* proc = nullptr;
  Budget budget;
  std::shared_ptr<const Snapshot> whole;
  Clock::time_point taken;
  Clock::duration cost{};
  uint64_t revision = 0;

  Result<void> take() {
    const auto begin = Clock::now();
    Result<Snapshot> snapshot = take_snapshot(request, *proc);
    if (!snapshot) {
      return Failure(snapshot.error());
    }
    whole = std::make_shared<const Snapshot>(std::move(*snapshot));
    taken = begin;
    cost = Clock::now() - begin;
    revision++;
    return {};
  }
};

LiveSnapshot::LiveSnapshot(std::unique_ptr<State> state) : state_(std::move(state)) {}
LiveSnapshot::~LiveSnapshot() = default;

Result<std::unique_ptr<LiveSnapshot>> LiveSnapshot::start(const Request& request,
                                                          const ProcRoot& proc,
                                                          const Budget& budget) {
  auto state = std::make_unique<State>();
  state->request = request;
  state->proc = &proc;
  state->budget = budget;
  if (Result<void> taken = state->take(); !taken) {
    return Failure(taken.error());
  }
  return std::unique_ptr<LiveSnapshot>(new LiveSnapshot(std::move(state)));
}

Result<void> LiveSnapshot::refresh(std::span<const pid_t> /*pids*/) {
  const std::chrono::duration<double> since = Clock::now() - state_->taken;
  const std::chrono::duration<double> cost = state_->cost;
  return since.count() * state_->budget.whole >= cost.count() ? state_->take() : Result<void>();
}
Result<void> LiveSnapshot::refresh_whole() { return state_->take(); }
std::shared_ptr<const Snapshot> LiveSnapshot::whole() const { return state_->whole; }
LiveSnapshot::Clock::time_point LiveSnapshot::whole_taken() const { return state_->taken; }
uint64_t LiveSnapshot::revision() const { return state_->revision; }
std::shared_ptr<const Snapshot> LiveSnapshot::look() const { return nullptr; }
LiveSnapshot::Clock::time_point LiveSnapshot::look_taken() const { return state_->taken; }

}  // namespace ipcscope
