// SPDX-License-Identifier: GPL-2.0-or-later
// What `why` says of threads that sleep in the kernel: its functions, and what they tell.
#include <fmt/format.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "tests/live/main.h"
#include "tests/live/running_fixture.h"

using namespace ipcscope::live;

namespace {

struct Told {
  std::string root;                    ///< text
  std::vector<std::string> functions;  ///< of the last step
  std::string text;                    ///< without --json
  std::string evidence;                ///< of the first finding
};

Told ask(int tid, const std::string& source) {
  const auto output = [&](std::vector<std::string> options) {
    options.insert(options.begin(), {"why", std::to_string(tid), "--source=" + source});
    const Outcome outcome = run(ipcscope_command(std::move(options)));
    INFO(outcome.errors);
    REQUIRE(outcome.status == 0);
    return outcome.output;
  };
  const Document answer = parse(output({"--json", "--longer-than=0"}));
  const Json& chain = member(answer, "chains")[0];
  const Json& steps = member(chain, "steps");
  Told told;
  told.root = text_of(member(member(chain, "root"), "text"));
  for (const Json& each : member(steps[steps.Size() - 1], "kernel_stack").GetArray()) {
    told.functions.emplace_back(text_of(each));
  }
  for (const Json& finding : member(answer, "findings").GetArray()) {
    told.evidence += text_of(member(member(finding, "evidence"), "kernel"));
  }
  told.text = output({});
  return told;
}

bool has(const std::vector<std::string>& functions, std::string_view part) {
  return std::any_of(functions.begin(), functions.end(),
                     [&](const std::string& each) { return each.find(part) != std::string::npos; });
}

}  // namespace

TEST_CASE("why of a sleep in the kernel") {
  if (::geteuid() != 0) {
    tell_impossible("only root may read kernel stacks");
    return;
  }
  for (const char* source : {"bpf", "proc"}) {
    INFO(source);
    {
      RunningFixture fixture("why-userfaultfd");
      if (fixture.is_possible()) {
        const Told told = ask(member(member(fixture.truth(), "why")[0], "tid").GetInt(), source);
        CHECK(told.root.ends_with(": userfaultfd"));
        CHECK(has(told.functions, "handle_userfault"));
        CHECK(told.functions.size() <= 6);
        CHECK_FALSE(has(told.functions, "schedule"));
        CHECK(told.text.find("in the kernel: ") != std::string::npos);
        CHECK_THAT(fixture.stop(), Catch::Equals(""));
      }
    }
    RunningFixture fixture("why-fuse");
    if (!fixture.is_possible()) {
      tell_impossible("no file system in user space: " + fixture.reason());
      return;
    }
    const Told told = ask(member(member(fixture.truth(), "why")[0], "tid").GetInt(), source);
    CHECK(told.root.find(": FUSE, served by fuse-server[") != std::string::npos);
    CHECK(has(told.functions, "fuse_"));
    CHECK(told.text.find("FUSE, served by fuse-server[") != std::string::npos);
    CHECK(told.evidence.find("FUSE, served by fuse-server[") == 0);
    CHECK_THAT(fixture.stop(), Catch::Equals(""));
  }
}
