// SPDX-License-Identifier: GPL-2.0-or-later
// The fixtures that contend for locks: what each says of itself is what it is there for.
#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

#include "tests/live/main.h"
#include "tests/live/running_fixture.h"

using namespace ipcscope::live;

namespace {

// A fair turn may be lost to one that came a moment later, more than a few in a row may not.
constexpr int64_t fair_overtakes = 5;
constexpr int64_t starved_overtakes = 50;

int64_t whole(const Json& object, const char* key) { return member(object, key).GetInt64(); }

bool names(const Json& list, const Json& value) {
  return std::find(list.Begin(), list.End(), value) != list.End();
}

/// One player's part at one lock.
void check_thread(const Json& did, const Json& thread) {
  INFO(print(thread));
  const int64_t waits = whole(thread, "waits");
  const int64_t overtaken = whole(thread, "overtaken");
  CHECK((waits > 0) == (whole(thread, "wait_ns") > 0));
  CHECK((whole(thread, "unfinished") > 0) == names(member(did, "never"), member(thread, "tid")));
  if (names(member(did, "starved"), member(thread, "tid"))) {
    CHECK(text_of(member(thread, "role")) == "starved");
    CHECK(overtaken >= starved_overtakes);
    CHECK(whole(thread, "acquired") < starved_overtakes);
  } else {
    // Whoever loses the CPU to somebody else is overtaken meanwhile.
    CHECK(overtaken <= fair_overtakes * (1 + whole(thread, "preempted")));
  }
  if (text_of(member(thread, "role")) == "fair") {
    CHECK(waits > 0);
    // Most turns have to be waited for: else it would be no contention.
    CHECK(waits * 2 > whole(thread, "acquired"));
  }
}

void check_lock(const Json& did, const Json& lock) {
  INFO(print(lock));
  int64_t waits = 0, wait_ns = 0, unfinished = 0;
  const auto threads = member(lock, "threads").GetArray();
  for (const Json& thread : threads) {
    check_thread(did, thread);
    waits += whole(thread, "waits");
    wait_ns += whole(thread, "wait_ns");
    unfinished += whole(thread, "unfinished");
  }
  if (!threads.Empty()) {  // they are left out where they are many
    CHECK(waits == whole(lock, "waits"));
    CHECK(wait_ns == whole(lock, "wait_ns"));
    CHECK(unfinished == whole(lock, "unfinished"));
  }
  CHECK(whole(lock, "waits") >= whole(lock, "distinct") * (whole(lock, "waits") > 0 ? 1 : 0));
  for (const Json& pair : member(lock, "pairs").GetArray()) {
    CHECK(member(pair, "waiter") != member(pair, "holder"));
    CHECK(names(member(lock, "holders"), member(pair, "holder")));
  }
}

void check_contest(const std::string& name, const Json& did) {
  CHECK(text_of(member(did, "did")) == name);
  const auto locks = member(did, "locks").GetArray();
  for (const Json& lock : locks) {
    check_lock(did, lock);
  }
  // Of those with several locks, only the first has to be waited at.
  CHECK((locks.Empty() || whole(locks[0], "waits") > 0));
  CHECK(locks.Empty() == (name == "locks-spin"));
  CHECK((whole(member(did, "results"), "timed_out") > 0) == (name == "locks-mutex-timed"));
  CHECK((whole(member(did, "results"), "owner_died") > 0) == (name == "locks-mutex-robust"));
  const Json& findings = member(did, "findings");
  const bool is_about_starving =
      std::any_of(findings.Begin(), findings.End(), [](const Json& rule) {
        return text_of(rule) == "starvation" || text_of(rule) == "writer-starvation";
      });
  CHECK(is_about_starving == !member(did, "starved").Empty());
}

}  // namespace

TEST_CASE("contests count what they did") {
  const std::vector<std::string> contests = contest_names();
  size_t impossible = 0;
  for (const std::string& name : contests) {
    if (!choice().fixture.empty() && name != choice().fixture) {
      continue;
    }
    RunningFixture fixture(name);
    if (!fixture.is_possible()) {
      fmt::print("NOT POSSIBLE HERE: {}: {}\n", name, fixture.reason());
      impossible++;
      continue;
    }
    INFO(name);
    CHECK(member(fixture.truth(), "works").IsTrue());
    const Document did = fixture.work();
    check_contest(name, did);
    CHECK_THAT(fixture.stop(), Catch::Equals(""));
  }
  CHECK(contests.size() > 25);
  // Real-time priorities are not allowed everywhere.
  CHECK(impossible <= 1);
}

TEST_CASE("contest without a go") {
  RunningFixture fixture("locks-mutex");
  REQUIRE(fixture.is_possible());
  CHECK_THAT(fixture.stop(), Catch::Equals(""));
}
