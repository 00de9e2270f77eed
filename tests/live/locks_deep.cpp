// SPDX-License-Identifier: GPL-2.0-or-later
// `locks --deep` of a program whose takings of locks are known.
#include <fmt/format.h>
#include <signal.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "collectors/locks/uprobe_multi.h"
#include "tests/live/json.h"
#include "tests/live/main.h"
#include "tests/live/program.h"

using namespace ipcscope::live;

namespace {

constexpr uint64_t million = 1'000'000;

/// How long the target says that it held a lock: between the first two, all times together.
struct Held {
  std::string name;
  double least_ms, most_ms, longest_ms;
};

/// The target, and `locks --deep` of it.
struct Deep {
  /// without: what locks does without, as in IPCSCOPE_WITHOUT.
  explicit Deep(const std::string& variant, std::string without, uint64_t takes = million)
      : target({std::string(IPCSCOPE_DEEP_TARGET) + variant, std::to_string(takes)}),
        pid(target.read_line(Seconds(20))),
        lacks(std::move(without)) {
    restart();
  }
  ~Deep() {
    locks->end();
    target.end();
  }
  void restart() {
    std::vector<std::string> command = {"/usr/bin/env", "IPCSCOPE_WITHOUT=" + lacks};
    for (std::string& word :
         ipcscope_command({"locks", "--deep", "--json", "-d", "100", "-p", pid})) {
      command.push_back(std::move(word));
    }
    locks.emplace(command);
    if (!locks->await_error("ipcscope: measuring", Seconds(60))) {
      throw std::runtime_error("locks does not measure: " + locks->errors());
    }
  }
  /// Returns what the target says of the locks that it held.
  std::vector<Held> work() {
    target.write_input("\n");
    std::vector<Held> all;
    for (std::string line; (line = target.read_line(Seconds(60))) != "done";) {
      std::istringstream words(line);
      double least = 0, most = 0, longest = 0;
      Held held;
      REQUIRE(words >> held.name >> least >> most >> longest);
      held.least_ms = least / 1e6;
      held.most_ms = most / 1e6;
      held.longest_ms = longest / 1e6;
      all.push_back(std::move(held));
    }
    return all;
  }
  Document stop() {
    ::kill(locks->pid(), SIGINT);
    locks->read_all(Seconds(30));
    INFO("standard error: " << locks->errors());
    REQUIRE(locks->wait(Seconds(30)) == 0);
    return parse(locks->output());
  }

  Program target;
  std::string pid;
  std::string lacks;
  std::optional<Program> locks;
};

/// Of the descriptors of a process, those that attach something: links, and events.
size_t attached_by(pid_t pid) {
  size_t found = 0;
  for (const auto& each : std::filesystem::directory_iterator(fmt::format("/proc/{}/fd", pid))) {
    std::error_code gone;
    const std::string file = std::filesystem::read_symlink(each, gone);
    found += file == "anon_inode:[perf_event]" || file == "anon_inode:bpf_link" ||
                     file == "anon_inode:bpf-link"
                 ? 1
                 : 0;
  }
  return found;
}

/// Each probe alone, in a way that every kernel knows; together, where this one can.
constexpr const char* one_by_one = "uprobe-multi";

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

/// The greatest value of a bucket of a histogram to its least.
constexpr double bucket = 1.5;

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

bool is_own(const std::string& name) {
  return !name.starts_with('_') &&
         (name.ends_with("_first") || name.ends_with("_second") || name.ends_with("_lock"));
}

/// "first>second", of the target's own locks: the C library has some, too.
std::set<std::string> orders_of(const Document& answer) {
  std::set<std::string> all;
  for (const Json& order : member(answer, "orders").GetArray()) {
    const std::string held = name_of(answer, text_of(member(order, "held")));
    const std::string wanted = name_of(answer, text_of(member(order, "wanted")));
    // The library's own begin with an underline, where they have a name.
    if (is_own(held) && is_own(wanted)) {
      all.insert(fmt::format("{}>{}", held, wanted));
    }
  }
  return all;
}

/// Of the C library's code in a process, against its file: each breakpoint is one.
size_t changed_bytes(const std::string& pid) {
  std::ifstream maps("/proc/" + pid + "/maps");
  size_t changed = 0;
  for (std::string line; std::getline(maps, line);) {
    unsigned long start = 0, end = 0, offset = 0;
    char access[5] = {}, path[4096] = {};
    if (std::sscanf(line.c_str(), "%lx-%lx %4s %lx %*s %*s %4095s", &start, &end, access, &offset,
                    path) != 5 ||
        std::string_view(access) != "r-xp" ||
        std::string_view(path).find("/libc.so") == std::string_view::npos) {
      continue;
    }
    std::string memory(end - start, '\0'), file(end - start, '\0');
    std::ifstream from_memory("/proc/" + pid + "/mem"), from_file(path);
    from_memory.seekg(static_cast<std::streamoff>(start));
    from_memory.read(memory.data(), static_cast<std::streamsize>(memory.size()));
    from_file.seekg(static_cast<std::streamoff>(offset));
    from_file.read(file.data(), static_cast<std::streamsize>(file.size()));
    REQUIRE(from_memory.gcount() == static_cast<std::streamsize>(memory.size()));
    const auto size = static_cast<size_t>(from_file.gcount());
    for (size_t i = 0; i < size; i++) {
      changed += memory[i] != file[i] ? 1 : 0;
    }
  }
  return changed;
}

/// takes: of the lock that is taken most.
void check_all(const std::string& variant, const std::string& without, uint64_t takes = million) {
  Deep deep(variant, without, takes);
  deep.work();
  const std::vector<Held> held = deep.work();
  deep.work();
  const std::vector<Held> in_turn = deep.work();
  const Document answer = deep.stop();
  CAPTURE(variant);

  const Json& counted = lock_named(answer, "counted_lock");
  CHECK(taken(counted) == takes);
  CHECK(member(counted, "waits").GetUint64() == 0);
  const auto& threads = member(member(counted, "taken"), "threads");
  REQUIRE(threads.Size() == 1);
  CHECK(std::to_string(member(threads[0], "tid").GetInt()) == deep.pid);
  CHECK(member(threads[0], "count").GetUint64() == takes);

  REQUIRE(held.size() == 5);
  for (const Held& truth : held) {
    const Json& lock = lock_named(answer, truth.name);
    // Each wait at the condition lets go of its lock, so that it is taken twice.
    const bool waited = truth.name == "condition_lock";
    const uint64_t times = waited || truth.name == "held_rwlock" ? 40 : 20;
    const double all_ms = held_ms(lock, "mean") * static_cast<double>(times);
    CAPTURE(truth.name, truth.least_ms, truth.most_ms, truth.longest_ms, all_ms);
    CHECK(taken(lock) == times);
    if (waited) {
      CHECK(all_ms < truth.least_ms / 2);  // and not held while it lasts
      continue;
    }
    CHECK(all_ms > truth.least_ms * 0.999);
    CHECK(all_ms < truth.most_ms * 1.001);
    CHECK(held_ms(lock, "p50") > 8.3);  // the bucket of 10 ms begins there
    CHECK(held_ms(lock, "p50") < truth.longest_ms * bucket);
    CHECK(held_ms(lock, "max") < truth.longest_ms * 1.001);
  }

  const Json& late = lock_named(answer, "late_lock");
  CHECK(taken(late) == 2);
  CHECK(member(late, "waits").GetUint64() == 1);
  REQUIRE(in_turn.size() == 2);
  for (const Json& thread : member(member(late, "taken"), "threads").GetArray()) {
    const bool first = std::to_string(member(thread, "tid").GetInt()) == deep.pid;
    const Held& truth = in_turn[first ? 0 : 1];
    const double ms = member(thread, "held_ms").GetDouble();
    CAPTURE(first, ms, truth.least_ms, truth.most_ms);
    CHECK(ms > truth.least_ms * 0.999);
    CHECK(ms < truth.most_ms * 1.001);
  }

  const std::set<std::string> orders = orders_of(answer);
  CHECK(orders ==
        std::set<std::string>{"inverted_first>inverted_second", "inverted_second>inverted_first",
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
  CHECK(member(facts, "probes").GetUint64() >= 12);
  CHECK(member(facts, "calls").GetUint64() >= 2 * takes);
  CHECK(member(facts, "call_ns").GetUint64() > 0);
  CHECK(member(member(facts, "lost"), "holds").GetUint64() == 0);
}

}  // namespace

TEST_CASE("locks deep", "[locks]") { check_all("", ""); }
TEST_CASE("locks deep one by one", "[locks]") { check_all("", one_by_one); }
TEST_CASE("locks deep without direct reads", "[locks]") { check_all("", "direct-reads"); }
TEST_CASE("locks deep one by one without direct reads", "[locks]") {
  check_all("", std::string("direct-reads,") + one_by_one);
}
TEST_CASE("locks deep of a static program", "[locks]") { check_all("-static", ""); }
// For emulated machines, where the probes of a million calls take a minute.
TEST_CASE("locks deep of a few calls", "[locks][kernels]") { check_all("", "", 1000); }
TEST_CASE("locks deep of a few calls one by one", "[locks][kernels]") {
  if (::has_uprobe_multi() == 0) {
    return tell_impossible("the kernel attaches none together: that one by one is the other test");
  }
  check_all("", one_by_one, 1000);
}

TEST_CASE("locks deep has one link, or an event for each probe", "[locks]") {
  utsname kernel{};
  REQUIRE(::uname(&kernel) == 0);
  unsigned major = 0, minor = 0;
  REQUIRE(std::sscanf(kernel.release, "%u.%u", &major, &minor) == 2);
  for (const char* without : {"", one_by_one}) {
    Deep deep("", without);
    const size_t attached = attached_by(deep.locks->pid());
    const Document answer = deep.stop();
    const uint64_t probes = member(member(answer, "deep"), "probes").GetUint64();
    CAPTURE(without, attached, probes);
    if (*without != '\0') {
      CHECK(attached >= probes);
    } else if (major > 6 || (major == 6 && minor >= 10)) {
      CHECK(attached < probes);
    }
  }
}

namespace {

void check_kill(const std::string& without) {
  Deep deep("", without);
  for (int i = 0; i < 4; i++) {
    deep.work();
  }
  deep.target.write_input("\n");
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  CHECK(changed_bytes(deep.pid) > 10);
  ::kill(deep.locks->pid(), SIGKILL);
  CHECK(deep.locks->wait(Seconds(30)) == 128 + SIGKILL);
  CHECK(changed_bytes(deep.pid) == 0);
  deep.restart();  // and they can be put there again
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  const Document answer = deep.stop();
  CHECK(taken(lock_named(answer, "counted_lock")) > 0);
  deep.target.write_input("\n");
  CHECK(deep.target.read_line(Seconds(20)) == "done");
  CHECK(deep.target.wait(Seconds(20)) == 0);
}

}  // namespace

TEST_CASE("locks deep is gone after a kill", "[locks]") { check_kill(""); }
TEST_CASE("locks deep one by one is gone after a kill", "[locks]") { check_kill(one_by_one); }

TEST_CASE("locks deep of a process that has ended", "[locks]") {
  const pid_t ended = ::fork();  // and stays as it is until somebody asks for its status
  if (ended == 0) {
    ::_exit(0);
  }
  siginfo_t info{};
  REQUIRE(::waitid(P_PID, static_cast<id_t>(ended), &info, WEXITED | WNOWAIT) == 0);
  const Outcome outcome = run(ipcscope_command({"locks", "--deep", "-p", std::to_string(ended)}));
  CHECK(outcome.status == 3);
  CHECK(outcome.errors == "ipcscope: process " + std::to_string(ended) + " has ended\n");
  CHECK(::waitpid(ended, nullptr, 0) == ended);
}

TEST_CASE("locks deep says what it needs", "[locks]") {
  const Outcome none = run(ipcscope_command({"locks", "--deep"}));
  CHECK(none.status == 2);
  CHECK(none.errors.find("'--deep' needs '-p'") != std::string::npos);
  CHECK(none.output.empty());
}
