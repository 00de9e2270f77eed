// SPDX-License-Identifier: GPL-2.0-or-later
// One fixture's truth against what one source shows.
#include <fmt/format.h>

#include <catch2/catch.hpp>

#include "tests/live/comparison.h"
#include "tests/live/contract.h"
#include "tests/live/main.h"
#include "tests/live/running_fixture.h"

using namespace ipcscope::live;

namespace {

/// One message with everything that is wrong.
void report(const Json& truth, const std::string& errors, const Problems& problems) {
  if (!problems.empty()) {
    FAIL_CHECK(fmt::format("{}\ntruth: {}\nstandard error: {}", fmt::join(problems, "\n"),
                           print(truth, 3000), errors));
  }
}

/// What only `show` tells: signals, and threads that wait for a child.
void compare_show(const Json& truth, const std::string& source) {
  if (const Json& processes = member(truth, "processes"); processes.IsArray()) {
    for (const Json& process : processes.GetArray()) {
      const Outcome shown = run(ipcscope_command(
          {"show", print(member(process, "pid")), "--json", "--source=" + source}));
      INFO(shown.errors);
      REQUIRE(shown.status == 0);
      const Document output = parse(shown.output);
      INFO("expected " << print(process) << " in " << print(member(output, "processes"), 3000));
      REQUIRE(member(output, "processes").Size() == 1);
      CHECK(covers(process, member(output, "processes")[0]));
    }
  }
  for (const Json& thread : member(truth, "threads").GetArray()) {
    const std::string channel(text_of(member(thread, "channel")));
    if (!channel.starts_with("child:")) {
      continue;
    }
    const Outcome shown = run(
        ipcscope_command({"show", print(member(thread, "pid")), "--json", "--source=" + source}));
    INFO(shown.errors);
    REQUIRE(shown.status == 0);
    const Document output = parse(shown.output);
    REQUIRE(member(output, "processes").Size() == 1);
    Document expected(rapidjson::kObjectType);
    auto& allocator = expected.GetAllocator();
    Json wait(rapidjson::kObjectType);
    wait.AddMember("operation", Json(member(thread, "operation"), allocator), allocator);
    wait.AddMember("target", Json(std::stoi(channel.substr(6))), allocator);
    bool found = false;
    for (const Json& each : member(member(output, "processes")[0], "threads").GetArray()) {
      if (member(each, "tid") == member(thread, "tid")) {
        INFO("expected " << print(wait) << " in " << print(each));
        for (const Json& other : member(each, "waits").GetArray()) {
          found = found || covers(wait, other);
        }
        CHECK(found);
      }
    }
    CHECK(found);
  }
}

}  // namespace

TEST_CASE("fixture", "[fixture]") {
  REQUIRE_FALSE(choice().fixture.empty());
  REQUIRE((choice().source == "bpf" || choice().source == "proc"));

  RunningFixture fixture(choice().fixture);
  if (!fixture.is_possible()) {
    const auto expected = expected_to_be_impossible(fixture.name());
    if (!expected) {
      // In CI, a fixture that is silently impossible would be a mechanism without a test.
      tell_impossible(fixture.reason());
      CHECK_FALSE(in_ci());
      return;
    }
    INFO(fixture.reason());
    CHECK(expected->is_lacking());
    const std::string text = fmt::format("{} needs {}", fixture.name(), expected->needs);
    if (in_ci()) {
      WARN("NOT POSSIBLE HERE: " << text);  // ./dev test counts a skipped test in CI as failed
    } else {
      tell_impossible(text);
    }
    return;
  }
  const Outcome listed = run(ipcscope_command({"ls", "--json", "--source=" + choice().source}));
  INFO("standard error: " << listed.errors);
  REQUIRE(listed.status == 0);
  const Document output = parse(listed.output);
  Problems problems = compare_list(fixture.truth(), output, choice().source);
  // The contract of its own channels only: what else runs on the host is no matter of this fixture.
  for (const Json& channel : member(fixture.truth(), "channels").GetArray()) {
    if (const Json* listed_channel = find_channel(output, text_of(member(channel, "id")))) {
      check_channel_contract(*listed_channel, problems);
    }
  }
  report(fixture.truth(), listed.errors, problems);
  compare_show(fixture.truth(), choice().source);
  CHECK_THAT(fixture.stop(), Catch::Equals(""));
}
