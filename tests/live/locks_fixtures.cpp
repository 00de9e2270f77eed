// SPDX-License-Identifier: GPL-2.0-or-later
// What `locks` says of every contest against what it did: waits, their time, holders, findings.
#include <fmt/format.h>
#include <signal.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <set>

#include "tests/live/locks_comparison.h"
#include "tests/live/main.h"
#include "tests/live/running_fixture.h"

using namespace ipcscope::live;

namespace {

/// `locks` of some processes, which measures until it is told to stop.
class Measurement {
 public:
  explicit Measurement(const std::string& pids, const std::string& option = "--json")
      : program_(ipcscope_command({"locks", "--json", "-d", "60", option, "-p", pids})) {
    if (!program_.await_error("ipcscope: measuring", Seconds(20))) {
      program_.end();
      throw std::runtime_error("locks does not measure: " + program_.errors());
    }
  }

  Document stop() {
    ::kill(program_.pid(), SIGINT);
    program_.read_all(Seconds(30));
    const std::optional<int> status = program_.wait(Seconds(1));
    INFO("standard error: " << program_.errors());
    REQUIRE(status);
    REQUIRE(*status == 0);
    return parse(program_.output());
  }

 private:
  Program program_;
};

/// Of the players: the fixture's own first process only waits for the next line of its input.
std::string players_of(const RunningFixture& fixture) {
  std::set<int> pids;
  for (const Json& player : member(fixture.truth(), "players").GetArray()) {
    pids.insert(member(player, "pid").GetInt());
  }
  if (pids.empty()) {  // too many to be listed; all are threads of the fixture
    pids.insert(fixture.pids().front());
  }
  return fmt::format("{}", fmt::join(pids, ","));
}

/// Lets the fixture work while `locks` measures, and compares; what is wrong, a line each.
std::string measure(RunningFixture& fixture) {
  using Clock = std::chrono::steady_clock;
  Measurement measurement(players_of(fixture));
  const Document did = fixture.work();
  const Clock::time_point begin = Clock::now();
  const Document answer = measurement.stop();
  const std::chrono::duration<double, std::nano> later = Clock::now() - begin;
  fmt::print("{}", describe_locks(did, answer));
  const Problems problems = compare_locks(did, answer, later.count());
  if (problems.empty()) {
    return "";
  }
  return fmt::format("{}:\n{}\ntruth: {}\nanswer: {}\nfindings: {}", fixture.name(),
                     fmt::join(problems, "\n"), print(did, 4000),
                     print(member(answer, "locks"), 4000), print(member(answer, "findings"), 3000));
}

/// False where it is not possible here. A contest is fought up to three times: on a busy machine
/// threads are kept from the CPU in ways that neither side can tell from the contest.
bool measure(const std::string& name, const std::vector<std::string>& settings = {}) {
  constexpr int rounds = 3;
  std::string problems;
  for (int i = 0; i < rounds; i++) {
    RunningFixture fixture(name, settings);
    if (!fixture.is_possible()) {
      fmt::print("NOT POSSIBLE HERE: {}: {}\n", name, fixture.reason());
      return false;
    }
    problems = measure(fixture);
    CHECK_THAT(fixture.stop(), Catch::Equals(""));
    if (problems.empty()) {
      return true;
    }
    fmt::print("not as it should be, round {}: {}\n", i + 1, problems.substr(0, 400));
  }
  FAIL_CHECK(problems);
  return true;
}

}  // namespace

TEST_CASE("locks of contests") {
  const std::vector<std::string> names = contest_names();
  size_t impossible = 0;
  for (const std::string& name : names) {
    if (choice().fixture.empty() || name == choice().fixture) {
      impossible += measure(name) ? 0 : 1;
    }
  }
  CHECK(names.size() > 25);
  // Real-time priorities are not everywhere allowed.
  CHECK(impossible <= 1);
}

TEST_CASE("locks of ten thousand futexes") {
  if (!measure("locks-many", {"locks=10000"})) {
    tell_impossible("ten thousand threads are not possible");
    CHECK_FALSE(in_ci());
  }
}

TEST_CASE("stacks of wakers without frame pointers") {
  RunningFixture fixture("locks-mutex");
  Measurement measurement(players_of(fixture), "--stacks");
  fixture.work();
  const Document answer = measurement.stop();
  CHECK_THAT(fixture.stop(), Catch::Equals(""));
  double wakers = 0, whole = 0;
  for (const Json& lock : member(answer, "locks").GetArray()) {
    if (text_of(member(lock, "primitive")) != "mutex") {
      continue;
    }
    for (const Json& stack : member(lock, "stacks").GetArray()) {
      if (text_of(member(stack, "role")) != "waker") {
        continue;
      }
      const std::string frames = print(member(stack, "frames"), 4000);
      const double count = member(stack, "count").GetDouble();
      wakers += count;
      // Down to where the thread began, by way of who gave the mutex back.
      const bool is_whole = member(stack, "problem").IsNull() &&
                            frames.find("pthread_mutex_unlock") != std::string::npos &&
                            frames.find("take_turns") != std::string::npos;
      whole += is_whole ? count : 0;
      INFO(frames << print(member(stack, "problem"), 200));
      CHECK(is_whole);
    }
  }
  fmt::print("{:.0f} of {:.0f} wake-ups of which the whole stack is known\n", whole, wakers);
  CHECK(wakers > 100);
}

TEST_CASE("locks of more futexes than the kernel has room for") {
  RunningFixture fixture("locks-many", {"locks=17000"});  // of LOCKS_MAX, 16384 (bpf/lock_state.h)
  if (!fixture.is_possible()) {
    tell_impossible("seventeen thousand threads are not possible: " + fixture.reason());
    CHECK_FALSE(in_ci());
    return;
  }
  Measurement measurement(players_of(fixture));
  const Document did = fixture.work();
  const Document answer = measurement.stop();
  CHECK_THAT(fixture.stop(), Catch::Equals(""));
  const double waits = member(member(did, "locks")[0], "waits").GetDouble();
  double seen = 0, distinct = 0;
  for (const Json& lock : member(answer, "locks").GetArray()) {
    if (text_of(member(lock, "kind")) == "futex") {
      seen += member(lock, "waits").GetDouble();
      distinct++;
    }
  }
  const double lost = member(member(answer, "lost"), "locks").GetDouble();
  fmt::print("{:.0f} of {:.0f} waits at {:.0f} futexes, {:.0f} counted as lost\n", seen, waits,
             distinct, lost);
  CHECK(lost > 0);
  CHECK(distinct > 16000);
  CHECK(seen + lost > 0.99 * waits);
  CHECK(seen + lost < 1.01 * waits);
  CHECK(text_of(member(member(answer, "coverage")[0], "state")) == "partial");
}
