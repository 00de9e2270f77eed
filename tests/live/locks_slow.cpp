// SPDX-License-Identifier: GPL-2.0-or-later
// `locks` where the kernel is slow, as on emulated CPUs: who finds a lock taken again and again
// uses more CPU time for that than elsewhere somebody who has it for a moment.
#include <fmt/format.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <stdexcept>
#include <thread>
#include <vector>

#include "tests/live/main.h"
#include "tests/live/running_fixture.h"

using namespace ipcscope::live;

namespace {

/// CPU time of a call that slow_down() makes slow.
double call_ns() {
  constexpr int calls = 200;
  timespec before{}, after{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
  for (int i = 0; i < calls; i++) {
    ::syscall(SYS_read, -1, nullptr, 0);
  }
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
  return (static_cast<double>(after.tv_sec - before.tv_sec) * 1e9 +
          static_cast<double>(after.tv_nsec - before.tv_nsec)) /
         calls;
}

/// Makes waits, of this thread and of what it starts, longer by CPU time: filters of these system
/// calls divide. They read an argument, or their answer would be remembered. Returns what a call
/// takes now.
double slow_down() {
  constexpr size_t divisions = 4000;  // BPF_MAXINSNS is 4096
  constexpr int filters = 8;          // more have too many instructions
  constexpr double enough_ns = 60'000;
  std::vector<sock_filter> filter = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_futex, 2, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_read, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args))};
  filter.insert(filter.end(), divisions, sock_filter BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 3));
  filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  const sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
  double took_ns = 0;
  for (int i = 0; i < filters && took_ns < enough_ns; i++) {
    if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) {
      throw std::runtime_error(fmt::format("a filter of calls: {}", std::strerror(errno)));
    }
    took_ns = call_ns();
  }
  return took_ns;
}

struct SlowContest {
  double call_ns = 0;
  std::string problem, did;
  size_t attempts = 0, waits = 0;
  bool is_found = false;
};

/// Measures a contest, and looks for the starvation of the one who starves.
void measure(const std::string& name, SlowContest& contest) {
  RunningFixture fixture(name);
  Program locks(ipcscope_command(
      {"locks", "--json", "-d", "60", "-p", fmt::format("{}", fmt::join(fixture.pids(), ","))}));
  if (!locks.await_error("ipcscope: measuring", Seconds(30))) {
    throw std::runtime_error("locks does not measure: " + locks.errors());
  }
  const Document did = fixture.work();
  ::kill(locks.pid(), SIGINT);
  locks.read_all(Seconds(30));
  const Document answer = parse(locks.output());
  contest.did = print(did, 4000);
  const Json& starved = member(did, "starved");
  for (const Json& lock : member(answer, "locks").GetArray()) {
    for (const Json& pair : member(lock, "pairs").GetArray()) {
      if (std::find(starved.Begin(), starved.End(), member(pair, "waiter")) != starved.End()) {
        contest.waits += member(pair, "waits").GetUint64();
        contest.attempts += member(pair, "attempts").GetUint64();
      }
    }
  }
  for (const Json& finding : member(answer, "findings").GetArray()) {
    contest.is_found = contest.is_found || text_of(member(finding, "rule")) == "starvation";
  }
  contest.problem = fixture.stop();
}

/// In a thread of its own: nothing else of this process gets slow.
SlowContest fight(const std::string& name) {
  SlowContest contest;
  std::thread slow([&] {
    try {
      contest.call_ns = slow_down();
      measure(name, contest);
    } catch (const std::exception& error) {
      contest.problem = error.what();
    }
  });
  slow.join();
  fmt::print("{}: a system call takes {:.0f} us; {} attempts of {} waits\n", name,
             contest.call_ns / 1e3, contest.attempts, contest.waits);
  return contest;
}

bool is_as_told(const SlowContest& contest) {
  return contest.is_found && contest.attempts * 10 < contest.waits;
}

}  // namespace

TEST_CASE("starvation where the kernel is slow") {
  constexpr int rounds = 3;  // on a busy machine, who is to starve may get its turn
  for (const char* name : {"locks-mutex-unfair", "locks-rwlock-writers"}) {
    SlowContest contest = fight(name);
    for (int i = 1; i < rounds && !is_as_told(contest); i++) {
      contest = fight(name);
    }
    INFO(contest.did);
    CHECK_THAT(contest.problem, Catch::Equals(""));
    CHECK(contest.call_ns > 40'000);
    CHECK(contest.is_found);
    CHECK(contest.attempts * 10 < contest.waits);
  }
}
