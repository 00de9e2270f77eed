// SPDX-License-Identifier: GPL-2.0-or-later
// Each fixture's truth about what was left behind against the verdicts of both sources.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <memory>
#include <set>
#include <thread>

#include "tests/live/leaks_verdicts.h"
#include "tests/live/main.h"
#include "tests/live/running_fixture.h"

using namespace ipcscope::live;

namespace {

std::string expected_verdict(const Json& leak, const std::string& source) {
  const Json& of_proc = member(leak, "proc_verdict");
  return std::string(
      text_of(source == "proc" && of_proc.IsString() ? of_proc : member(leak, "verdict")));
}

/// JSON has no verdict for what is only worth knowing: it is a suspect of no severity.
std::string given_verdict(const Json& found) {
  if (found.IsNull()) {
    return "absent";
  }
  const std::string_view verdict = text_of(member(found, "verdict"));
  return verdict == "suspect" && text_of(member(found, "severity")) == "info"
             ? "info"
             : std::string(verdict);
}

/// Whether every process could be seen.
bool is_covered(const Json& output) {
  for (const Json& each : member(output, "coverage").GetArray()) {
    if (text_of(member(each, "state")) != "full") {
      return false;
    }
  }
  return true;
}

/// Compares one object; what is wrong with it, or nothing.
std::string compare(const Json& expected, const Json& output, const std::string& source,
                    Confusion& confusion) {
  const std::string_view id = text_of(member(expected, "id"));
  const Json& found = find_leak(output, id);
  const std::string right = expected_verdict(expected, source);
  const std::string given = given_verdict(found);
  confusion.add(right, given);
  // Without BPF nobody tells who waits at a queue where a process cannot be seen.
  const bool is_blind = source == "proc" && right == "leaked" && given == "suspect" &&
                        text_of(member(found, "kind")) == "msg" && !is_covered(output);
  // What is not even looked at is not called leaked either.
  if (given != right && !(right == "live" && given == "absent") && !is_blind) {
    return fmt::format("{}: expected {}, got {}: {}", id, right, given, print(found, 2000));
  }
  const Json& rule = member(found, "rule");
  if (given != "live" && rule.IsString() && member(expected, "rule").IsString() &&
      rule != member(expected, "rule")) {
    return fmt::format("{}: expected the rule {}, got {}", id, print(member(expected, "rule")),
                       print(rule));
  }
  return {};
}

}  // namespace

TEST_CASE("leaks verdicts on fixtures") {
  std::map<std::string, Confusion> confusion;
  std::set<std::string> verdicts;
  for (const std::string& name : fixture_names()) {
    if (!name.starts_with("leftover-") && !name.starts_with("lookalike-") &&
        name != "shm-destroyed" && name != "fifo-open") {
      continue;
    }
    RunningFixture fixture(name);
    if (!fixture.is_possible()) {
      tell_impossible(fmt::format("{}: {}", name, fixture.reason()));
      CHECK_FALSE(in_ci());
      continue;
    }
    REQUIRE(member(fixture.truth(), "leaks").Size() > 0);
    for (const std::string source : {"bpf", "proc"}) {
      const Document output = run_leaks({"--namespace", "all", "--source=" + source});
      for (const Json& expected : member(fixture.truth(), "leaks").GetArray()) {
        verdicts.insert(expected_verdict(expected, source));
        const std::string problem = compare(expected, output, source, confusion[source]);
        if (!problem.empty()) {
          FAIL_CHECK(fmt::format("{} with {}: {}", name, source, problem));
        }
      }
    }
    CHECK_THAT(fixture.stop(), Catch::Equals(""));
  }
  CHECK(verdicts == std::set<std::string>{"leaked", "suspect", "info", "live"});
  for (const auto& [source, table] : confusion) {
    fmt::print("verdicts of the source {}:\n{}", source, table.table());
  }
}

TEST_CASE("leaks removes no set or queue whose creator lives") {
  for (const std::string fixture : {"lookalike-sem-parent", "lookalike-msg-server"}) {
    INFO(fixture);
    Program living({"unshare", "--ipc", "--", IPCSCOPE_FIXTURE_PROGRAM, fixture});
    const std::string line = living.read_line(Seconds(30));
    if (line.empty()) {
      living.read_all(Seconds(1));
      tell_impossible(fmt::format("{}: {}", fixture, living.errors()));
      CHECK_FALSE(in_ci());
      continue;
    }
    const Document truth = parse(line);
    const std::string id(text_of(member(member(truth, "leaks")[0], "id")));
    // What was made only now would be spared for that alone.
    std::this_thread::sleep_for(std::chrono::milliseconds(2200));
    const std::vector<std::string> enter = {"nsenter", "--target", std::to_string(living.pid()),
                                            "--ipc", "--"};
    std::vector<std::string> clean = enter;
    for (const char* word :
         {IPCSCOPE_PROGRAM, "leaks", "sem", "msg", "--clean", "--yes", "--no-backup"}) {
      clean.emplace_back(word);
    }
    const Outcome outcome = run(clean);
    INFO(outcome.output << outcome.errors);
    CHECK(outcome.status == 0);
    CHECK(outcome.output.find("1 suspect is not touched") != std::string::npos);
    const Document output = run_leaks({"sem", "msg"}, enter);
    CHECK(text_of(member(find_leak(output, id), "verdict")) == "suspect");
    living.close_input();
    CHECK(living.wait(Seconds(10)) == 0);
  }
}

TEST_CASE("leaks calls nothing of a living fixture leaked") {
  std::vector<std::unique_ptr<RunningFixture>> fixtures;
  for (const std::string& name : fixture_names()) {
    if (name.starts_with("leftover-")) {
      continue;
    }
    auto fixture = std::make_unique<RunningFixture>(name);
    if (fixture->is_possible()) {
      fixtures.push_back(std::move(fixture));
    }
  }
  REQUIRE(fixtures.size() > 50);
  for (const std::string source : {"bpf", "proc"}) {
    const Document output = run_leaks({"--namespace", "all", "--source=" + source});
    std::set<std::string> leaked;
    for (std::string& id : ids_of(output, "leaked")) {
      leaked.insert(std::move(id));
    }
    for (const auto& fixture : fixtures) {
      for (const Json& channel : member(fixture->truth(), "channels").GetArray()) {
        const std::string id(text_of(member(channel, "id")));
        // The path of a socket is an object of its own.
        const std::string path = fmt::format("{}:{}", text_of(member(channel, "kind")),
                                             text_of(member(channel, "name")));
        if (leaked.count(id) + leaked.count(path) > 0) {
          FAIL_CHECK(fmt::format("{} of {} with {}: {}", id, fixture->name(), source,
                                 print(find_leak(output, id), 2000)));
        }
      }
    }
  }
  for (const auto& fixture : fixtures) {
    CHECK_THAT(fixture->stop(), Catch::Equals(""));
  }
}
