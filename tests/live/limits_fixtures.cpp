// SPDX-License-Identifier: GPL-2.0-or-later
// Each limit that a fixture drives to its cap against what `limits` says of it.
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <functional>
#include <set>
#include <thread>

#include "tests/live/main.h"
#include "tests/live/running_fixture.h"

using namespace ipcscope::live;

namespace {

struct Answer {
  int status = 0;
  Document output;
};

Answer run_limits(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"limits", "--json"});
  const Outcome outcome = run(ipcscope_command(std::move(arguments)));
  INFO(outcome.errors);
  REQUIRE(outcome.status <= 1);
  return {outcome.status, parse(outcome.output)};
}

const Json* find_use(const Json& output, const Json& expected) {
  for (const Json& use : member(output, "limits").GetArray()) {
    if (member(use, "name") == member(expected, "name") &&
        member(use, "scope") == member(expected, "scope")) {
      return &use;
    }
  }
  return nullptr;
}

/// Whether a finding is about it: its evidence is the limit's own remedy.
bool is_found(const Json& output, const Json& use) {
  for (const Json& finding : member(output, "findings").GetArray()) {
    if (text_of(member(finding, "rule")) == "near-limit" &&
        member(finding, "advice") == member(use, "remedy") &&
        member(finding, "severity") == member(use, "severity")) {
      return true;
    }
  }
  return false;
}

/// False where it is not possible here.
bool is_possible(const RunningFixture& fixture) {
  if (!fixture.is_possible()) {
    fmt::print("NOT POSSIBLE HERE: {}: {}\n", fixture.name(), fixture.reason());
  }
  return fixture.is_possible();
}

/// Which limits a fixture's processes are not counted in by this source, as documented.
bool is_unknown_to(const std::string& source, std::string_view name) {
  // Without BPF nobody tells how many messages a UNIX socket has queued, and how large a pipe is.
  return source == "proc" &&
         (name == "net.unix.max_dgram_qlen" || name == "fs.pipe-user-pages-soft");
}

}  // namespace

TEST_CASE("limits of fixtures at their caps") {
  std::set<std::string> named;
  size_t impossible = 0;
  for (const std::string& name : limit_names()) {
    RunningFixture fixture(name);
    if (!is_possible(fixture)) {
      impossible++;
      continue;
    }
    for (const std::string source : {"bpf", "proc"}) {
      const Answer answer = run_limits({"--source=" + source});
      for (const Json& expected : member(fixture.truth(), "limits").GetArray()) {
        INFO(name << " with " << source << ": expected " << print(expected));
        const std::string_view limit = text_of(member(expected, "name"));
        const Json* use = find_use(answer.output, expected);
        if (is_unknown_to(source, limit)) {
          CHECK((use == nullptr || member(*use, "used").IsNull()));
          continue;
        }
        REQUIRE(use != nullptr);
        INFO(print(*use));
        CHECK(member(*use, "used") == member(expected, "used"));
        CHECK(member(*use, "limit") == member(expected, "limit"));
        CHECK(text_of(member(*use, "severity")) == "critical");
        CHECK(is_found(answer.output, *use));
        CHECK(answer.status == 1);
        named.emplace(limit);
      }
    }
    CHECK_THAT(fixture.stop(), Catch::Equals(""));
  }
  // Control groups may be read-only, user namespaces forbidden.
  CHECK(impossible <= 2);
  CHECK(named.size() + impossible >= 17);
}

TEST_CASE("limits at seventy percent are no finding") {
  for (const std::string& name : limit_names()) {
    RunningFixture fixture(name, {"percent=70"});
    if (!is_possible(fixture)) {
      continue;
    }
    for (const std::string source : {"bpf", "proc"}) {
      const Answer answer = run_limits({"--source=" + source});
      for (const Json& expected : member(fixture.truth(), "limits").GetArray()) {
        INFO(name << " with " << source << ": expected " << print(expected));
        const Json* use = find_use(answer.output, expected);
        if (use == nullptr) {
          // Of the processes only those that are near are told, and the nearest of the others.
          CHECK(
              (is_unknown_to(source, text_of(member(expected, "name"))) || name == "limit-nofile"));
          continue;
        }
        INFO(print(*use));
        CHECK((member(*use, "used") == member(expected, "used") ||
               is_unknown_to(source, text_of(member(expected, "name")))));
        CHECK(text_of(member(*use, "severity")) == "info");
        CHECK_FALSE(is_found(answer.output, *use));
      }
    }
    CHECK_THAT(fixture.stop(), Catch::Equals(""));
  }
}

TEST_CASE("limits tells commands that work") {
  // Some containers' root may not change the limits of other users' processes.
  constexpr int cap_sys_resource = 24;
  const bool may_raise = ::prctl(PR_CAPBSET_READ, cap_sys_resource) == 1;
  if (!may_raise) {
    fmt::print("NOT POSSIBLE HERE: limits of other users' processes need CAP_SYS_RESOURCE\n");
  }
  // What the fixtures have to themselves, and what counts for what is there already.
  const std::set<std::string> mine = {"limit-sysv",    "limit-dev-shm",        "limit-nofile",
                                      "limit-pids",    "limit-ports",          "limit-msgqueue",
                                      "limit-signals", "limit-inotify-watches"};
  for (const std::string& name : limit_names()) {
    const bool needs_capability = name == "limit-msgqueue" || name == "limit-signals";
    if (mine.count(name) == 0 || (needs_capability && !may_raise)) {
      continue;
    }
    RunningFixture fixture(name);
    if (!is_possible(fixture)) {
      continue;
    }
    const Json& all = member(fixture.truth(), "limits");
    // One setting has several limits: what the first command wrote, the second would undo.
    for (const Json& expected : all.GetArray()) {
      const Answer before = run_limits({});
      const Json* use = find_use(before.output, expected);
      REQUIRE(use != nullptr);
      const std::string remedy(text_of(member(*use, "remedy")));
      INFO(name << ": " << remedy);
      REQUIRE_FALSE(remedy.empty());
      const Outcome outcome = run({"sh", "-c", remedy});
      INFO(outcome.output << outcome.errors);
      CHECK(outcome.status == 0);
      const Answer after = run_limits({});
      const Json* raised = find_use(after.output, expected);
      // No longer among those that are near, a process need not be told.
      if (raised != nullptr) {
        INFO(print(*raised));
        CHECK(text_of(member(*raised, "severity")) == "info");
      } else {
        CHECK(name == "limit-nofile");
      }
    }
    CHECK_THAT(fixture.stop(), Catch::Equals(""));
  }
}

TEST_CASE("limits of one process", "[kernels]") {
  RunningFixture fixture("limit-nofile");
  REQUIRE(fixture.is_possible());
  const Json& expected = member(fixture.truth(), "limits")[0];
  const std::string pid(text_of(member(expected, "scope")).substr(sizeof "process:" - 1));
  const Answer answer = run_limits({"-p", pid});
  CHECK(answer.status == 1);
  const Json& limits = member(answer.output, "limits");
  REQUIRE(limits.Size() > 20);
  CHECK(member(limits[0], "scope") == member(expected, "scope"));
  std::set<std::string> names;
  for (const Json& use : limits.GetArray()) {
    const std::string name(text_of(member(use, "name")));
    // A size of huge pages, a control group above another: several have one name.
    CHECK((names.insert(name).second || name == "pids.max"));
    const std::string_view scope = text_of(member(use, "scope"));
    INFO(print(use));
    CHECK((!scope.starts_with("process:") || member(use, "scope") == member(expected, "scope")));
    CHECK(scope.find('@') == std::string_view::npos);  // it lives where ipcscope does
  }
  CHECK_THAT(fixture.stop(), Catch::Equals(""));
  const Outcome gone = run(ipcscope_command({"limits", "-p", pid}));
  CHECK(gone.status == 2);
  CHECK(gone.errors == fmt::format("ipcscope: no process {}\n", pid));
}

TEST_CASE("limits of a process elsewhere are those of its namespaces", "[kernels]") {
  RunningFixture fixture("limit-sysv");
  REQUIRE(fixture.is_possible());
  const int pid = fixture.pids().back();
  const Answer answer = run_limits({"-p", std::to_string(pid)});
  CHECK(answer.status == 1);
  for (const Json& expected : member(fixture.truth(), "limits").GetArray()) {
    CHECK(find_use(answer.output, expected) != nullptr);
  }
  for (const Json& use : member(answer.output, "limits").GetArray()) {
    INFO(print(use));
    CHECK(text_of(member(use, "scope")) != "ipc");
  }
  CHECK_THAT(fixture.stop(), Catch::Equals(""));
}

TEST_CASE("limits as an ordinary user") {
  RunningFixture fixture("limit-nofile");
  REQUIRE(fixture.is_possible());
  const Outcome outcome = run({"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                               IPCSCOPE_PROGRAM, "limits", "--json"});
  INFO(outcome.errors);
  REQUIRE(outcome.status <= 1);
  const Document output = parse(outcome.output);
  CHECK(find_use(output, member(fixture.truth(), "limits")[0]) == nullptr);
  bool told = false;
  for (const Json& each : member(output, "coverage").GetArray()) {
    told = told || (text_of(member(each, "source")) == "limits-processes" &&
                    text_of(member(each, "state")) == "partial");
  }
  CHECK(told);
  // What everybody may read is told all the same.
  size_t known = 0;
  for (const Json& use : member(output, "limits").GetArray()) {
    const std::string_view name = text_of(member(use, "name"));
    if (name == "SHMMNI" || name == "fs.file-max" || name == "kernel.threads-max") {
      CHECK(!member(use, "used").IsNull());
      CHECK(!member(use, "limit").IsNull());
      known++;
    }
  }
  CHECK(known == 3);
}

TEST_CASE("limits fixtures leave nothing when they are killed") {
  for (const std::string name : {"limit-pids", "limit-inotify-watches"}) {
    int pid = 0;
    std::vector<int> pids;
    {
      Program program({IPCSCOPE_FIXTURE_PROGRAM, name});
      const std::string line = program.read_line(Seconds(30));
      if (line.empty()) {
        continue;  // not possible here, which another test tells
      }
      const Document truth = parse(line);
      for (const Json& each : member(truth, "pids").GetArray()) {
        pids.push_back(each.GetInt());
      }
      pid = program.pid();
      ::kill(pid, SIGKILL);
      program.wait(Seconds(5));
    }
    const auto gone = [&] {
      for (const int each : pids) {
        if (::kill(each, 0) == 0) {
          return false;
        }
      }
      return ::access(fmt::format("/sys/fs/cgroup/pids/ipcscope-test-{}", pid).c_str(), F_OK) !=
                 0 &&
             ::access(fmt::format("/sys/fs/cgroup/ipcscope-test-{}", pid).c_str(), F_OK) != 0;
    };
    const auto end = std::chrono::steady_clock::now() + Seconds(10);
    while (!gone() && std::chrono::steady_clock::now() < end) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    CHECK(gone());
  }
}
