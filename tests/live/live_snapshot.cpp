// SPDX-License-Identifier: GPL-2.0-or-later
// Looks at the host that follow each other: what is loaded stays loaded, and sees the same.
#include "collectors/live_snapshot.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <optional>
#include <set>
#include <thread>

#include "collectors/session.h"
#include "tests/live/main.h"
#include "tests/live/running_fixture.h"

using namespace ipcscope::live;
using ipcscope::Channel;
using ipcscope::LiveBudget;
using ipcscope::LiveSnapshot;
using ipcscope::ProcRoot;
using ipcscope::Request;
using ipcscope::Session;
using ipcscope::Snapshot;

namespace {

const Channel* find(const Snapshot& snapshot, std::string_view id) {
  for (const Channel& channel : snapshot.channels) {
    if (channel.id == id) {
      return &channel;
    }
  }
  return nullptr;
}

std::set<int> processes_at(const Snapshot& snapshot, const Channel& channel) {
  std::set<int> pids;
  for (const auto& endpoint : snapshot.endpoints_of(channel)) {
    pids.insert(snapshot.processes[endpoint.process].pid);
  }
  return pids;
}

ProcRoot proc() { return std::move(*ProcRoot::open("/proc")); }

/// The fixture's channel, and who is at it.
struct Truth {
  explicit Truth(const RunningFixture& fixture) {
    const Json& channel = member(fixture.truth(), "channels")[0];
    id = text_of(member(channel, "id"));
    for (const Json& endpoint : member(channel, "endpoints").GetArray()) {
      pids.insert(member(endpoint, "pid").GetInt());
    }
    bytes = member(member(channel, "depth"), "bytes").GetUint64();
  }
  std::string id;
  std::set<int> pids;
  uint64_t bytes = 0;
};

}  // namespace

namespace {

/// Whether some processes can be looked at alone: only programs with direct reads can.
bool is_possible_to_look_at_some(const ProcRoot& root) {
  Session session(root);
  Request own;
  own.pids = {::getpid()};
  own.alone = true;
  session.open(own);
  if (!session.can_look_at_some()) {
    tell_impossible("every look is at all processes: BPF direct reads need Linux 6.2");
  }
  return session.can_look_at_some();
}

}  // namespace

TEST_CASE("a session sees the same however often it looks", "[kernels]") {
  const RunningFixture fixture("pipe");
  const Truth truth(fixture);
  REQUIRE_FALSE(truth.pids.empty());
  const int one = *truth.pids.begin();
  const ProcRoot root = proc();
  if (!is_possible_to_look_at_some(root)) {
    return;
  }
  Session session(root);
  const Request all;
  Request related;
  related.pids = {one};
  Request alone = related;
  alone.alone = true;
  Request other;
  other.pids = {::getpid()};
  other.alone = true;
  Request by_proc;
  by_proc.source = ipcscope::SourceChoice::proc;
  // In an order in which each kind of look comes after each other kind.
  const Request* const looks[] = {&all,     &alone, &related, &all,     &related, &alone,   &alone,
                                  &by_proc, &other, &related, &related, &other,   &by_proc, &all};
  for (const Request* request : looks) {
    auto snapshot = session.take(*request);
    INFO((snapshot ? "" : snapshot.error().text()));
    REQUIRE(snapshot);
    const Channel* channel = find(*snapshot, truth.id);
    if (request == &other) {
      CHECK(channel == nullptr);
      continue;
    }
    REQUIRE(channel != nullptr);
    CHECK(processes_at(*snapshot, *channel) ==
          (request == &alone ? std::set<int>{one} : truth.pids));
    if (request->source != ipcscope::SourceChoice::proc) {
      CHECK(channel->depth_bytes.value_or(0) == truth.bytes);
    }
    CHECK((request != &alone || snapshot->processes.size() == 1));
  }
  REQUIRE(session.can_look_at_some());
}

TEST_CASE("a live snapshot looks where it is told to", "[kernels]") {
  const ProcRoot root = proc();
  if (!is_possible_to_look_at_some(root)) {
    return;
  }
  constexpr LiveBudget never_whole{1e-9, 1.0};
  auto live = LiveSnapshot::start({}, root, never_whole);
  REQUIRE(live);
  LiveSnapshot& view = **live;
  const RunningFixture fixture("pipe");
  const Truth truth(fixture);
  CHECK(view.find(truth.id).channel == nullptr);
  const uint64_t revision = view.revision();

  // Budgets are earned in time, so it may take several refreshes.
  const std::vector<pid_t> pids(truth.pids.begin(), truth.pids.end());
  const auto until = LiveSnapshot::Clock::now() + std::chrono::seconds(20);
  while (view.find(truth.id).channel == nullptr && LiveSnapshot::Clock::now() < until) {
    REQUIRE(view.refresh(pids));
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  const LiveSnapshot::Sighting seen = view.find(truth.id);
  REQUIRE(seen.channel != nullptr);
  CHECK(view.revision() == revision);
  CHECK(view.find_in_whole(truth.id).channel == nullptr);
  CHECK(seen.taken > view.whole_taken());
  CHECK(seen.channel->depth_bytes.value_or(0) == truth.bytes);

  REQUIRE(view.refresh_whole());
  CHECK(view.revision() == revision + 1);
  const LiveSnapshot::Sighting whole = view.find_in_whole(truth.id);
  REQUIRE(whole.channel != nullptr);
  CHECK(processes_at(*whole.snapshot, *whole.channel) == truth.pids);
  CHECK(whole.taken == view.whole_taken());
  // The look before it is not younger, and has gone.
  CHECK(view.find(truth.id).snapshot == &view.whole());
}

TEST_CASE("a live snapshot takes the whole when it has earned that") {
  const ProcRoot root = proc();
  constexpr LiveBudget plenty{1.0, 0};
  auto live = LiveSnapshot::start({}, root, plenty);
  REQUIRE(live);
  const uint64_t revision = (*live)->revision();
  const auto until = LiveSnapshot::Clock::now() + std::chrono::seconds(20);
  while ((*live)->revision() < revision + 3 && LiveSnapshot::Clock::now() < until) {
    REQUIRE((*live)->refresh({}));
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  CHECK((*live)->revision() >= revision + 3);
}
