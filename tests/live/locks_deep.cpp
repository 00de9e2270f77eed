// SPDX-License-Identifier: GPL-2.0-or-later
// `locks --deep` of a program whose takings of locks are known.
#include <fmt/format.h>
#include <signal.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <fstream>
#include <optional>
#include <set>
#include <thread>

#include "tests/live/json.h"
#include "tests/live/program.h"

using namespace ipcscope::live;

namespace {

/// The target, and `locks --deep` of it.
struct Deep {
  explicit Deep(const std::string& variant)
      : target({std::string(IPCSCOPE_DEEP_TARGET) + variant}), pid(target.read_line(Seconds(20))) {
    restart();
  }
  ~Deep() {
    locks->end();
    target.end();
  }
  void restart() {
    locks.emplace(ipcscope_command({"locks", "--deep", "--json", "-d", "100", "-p", pid}));
    if (!locks->await_error("ipcscope: measuring", Seconds(20))) {
      throw std::runtime_error("locks does not measure: " + locks->errors());
    }
  }
  void work() {
    target.write_input("\n");
    REQUIRE(target.read_line(Seconds(60)) == "done");
  }
  Document stop() {
    ::kill(locks->pid(), SIGINT);
    locks->read_all(Seconds(30));
    INFO("standard error: " << locks->errors());
    REQUIRE(locks->wait(Seconds(1)) == 0);
    return parse(locks->output());
  }

  Program target;
  std::string pid;
  std::optional<Program> locks;
};

const Json& lock_named(const Document& answer, std::string_view name) {
  for (const Json& lock : member(answer, "locks").GetArray()) {
    if (text_of(member(lock, "name")) == name) {
      return lock;
    }
  }
  FAIL("no lock " << name);
  throw std::logic_error("not reached");
}

uint64_t taken(const Json& lock) { return member(member(lock, "taken"), "count").GetUint64(); }

double held_ms(const Json& lock, const char* which) {
  return member(member(member(lock, "taken"), "held_ms"), which).GetDouble();
}

std::string name_of(const Document& answer, std::string_view id) {
  for (const Json& lock : member(answer, "locks").GetArray()) {
    if (text_of(member(lock, "id")) == id) {
      return std::string(text_of(member(lock, "name")));
    }
  }
  return {};
}

/// "first>second"
std::set<std::string> orders_of(const Document& answer) {
  std::set<std::string> all;
  for (const Json& order : member(answer, "orders").GetArray()) {
    all.insert(name_of(answer, text_of(member(order, "held"))) + ">" +
               name_of(answer, text_of(member(order, "wanted"))));
  }
  return all;
}

void check_all(const std::string& variant) {
  Deep deep(variant);
  for (int i = 0; i < 4; i++) {
    deep.work();
  }
  const Document answer = deep.stop();
  CAPTURE(variant);

  const Json& counted = lock_named(answer, "counted_lock");
  CHECK(taken(counted) == 1'000'000);
  CHECK(member(counted, "waits").GetUint64() == 0);
  const auto& threads = member(member(counted, "taken"), "threads");
  REQUIRE(threads.Size() == 1);
  CHECK(std::to_string(member(threads[0], "tid").GetInt()) == deep.pid);
  CHECK(member(threads[0], "count").GetUint64() == 1'000'000);

  for (const auto& [name, times] : {std::pair{"held_lock", 20U}, std::pair{"held_rwlock", 40U},
                                    std::pair{"held_recursive", 20U},
                                    std::pair{"held_semaphore", 20U}}) {
    CAPTURE(name);
    const Json& lock = lock_named(answer, name);
    CHECK(taken(lock) == times);
    CHECK(held_ms(lock, "mean") > 10.0);
    CHECK(held_ms(lock, "p50") > 9.9);
    CHECK(held_ms(lock, "p50") < 12.5);  // the timer, and the bucket's width
  }
  // Each wait lets go of the lock, so that it is taken twice, and not held while it lasts.
  const Json& condition = lock_named(answer, "condition_lock");
  CHECK(taken(condition) == 40);
  CHECK(held_ms(condition, "p99") < 5.0);

  const Json& late = lock_named(answer, "late_lock");
  CHECK(taken(late) == 2);
  CHECK(member(late, "waits").GetUint64() == 1);
  CHECK(held_ms(late, "max") > 300.0);
  for (const Json& thread : member(member(late, "taken"), "threads").GetArray()) {
    const bool holder = std::to_string(member(thread, "tid").GetInt()) == deep.pid;
    const double held = member(thread, "held_ms").GetDouble();
    CAPTURE(holder, held);
    CHECK((holder ? held > 300.0 : held > 20.0 && held < 100.0));
  }

  const std::set<std::string> orders = orders_of(answer);
  CHECK(orders == std::set<std::string>{
                      "inverted_first>inverted_second", "inverted_second>inverted_first",
                      "straight_first>straight_second", "guard_lock>guarded_first",
                      "guard_lock>guarded_second", "guarded_first>guarded_second",
                      "guarded_second>guarded_first", "alone_first>alone_second",
                      "alone_second>alone_first", "tried_first>tried_second"});
  std::vector<std::string> findings;
  for (const Json& finding : member(answer, "findings").GetArray()) {
    if (text_of(member(finding, "rule")) == "lock-order") {
      findings.push_back(print(finding));
      CHECK(text_of(member(finding, "summary")).find("inverted_first") != std::string_view::npos);
      CHECK(text_of(member(finding, "summary")).find("potential") != std::string_view::npos);
    }
  }
  CAPTURE(findings);
  CHECK(findings.size() == 1);

  const Json& facts = member(answer, "deep");
  CHECK(member(facts, "probes").GetUint64() >= 20);
  CHECK(member(facts, "calls").GetUint64() >= 2'000'000);
  CHECK(member(facts, "call_ns").GetUint64() > 0);
  CHECK(member(member(facts, "lost"), "holds").GetUint64() == 0);
}

}  // namespace

TEST_CASE("locks deep", "[locks]") { check_all(""); }
TEST_CASE("locks deep of a static program", "[locks]") { check_all("-static"); }

TEST_CASE("locks deep is gone after a kill", "[locks]") {
  Deep deep("");
  for (int i = 0; i < 4; i++) {
    deep.work();
  }
  deep.target.write_input("\n");
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  ::kill(deep.locks->pid(), SIGKILL);
  CHECK(deep.locks->wait(Seconds(30)) == 128 + SIGKILL);
  // A breakpoint that had stayed would cost each call a thousand times as much.
  const auto used = [&] {
    std::ifstream file("/proc/" + deep.pid + "/stat");
    std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    return text;
  };
  CHECK_FALSE(used().empty());
  deep.restart();  // and they can be put there again
  const Document answer = deep.stop();
  CHECK(taken(lock_named(answer, "counted_lock")) > 0);
  deep.target.write_input("\n");
  CHECK(deep.target.read_line(Seconds(20)) == "done");
  CHECK(deep.target.wait(Seconds(20)) == 0);
}

TEST_CASE("locks deep says what it needs", "[locks]") {
  const Outcome none = run(ipcscope_command({"locks", "--deep"}));
  CHECK(none.status == 2);
  CHECK(none.errors.find("'--deep' needs '-p'") != std::string::npos);
  CHECK(none.output.empty());
}
