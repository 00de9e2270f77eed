// SPDX-License-Identifier: GPL-2.0-or-later
// Processes that come and go while they are looked at.
#include <catch2/catch.hpp>
#include <memory>

#include "tests/live/comparison.h"
#include "tests/live/contract.h"
#include "tests/live/running_fixture.h"

using namespace ipcscope::live;

TEST_CASE("processes come and go") {
  const RunningFixture steady("pipe-empty");
  // Each round makes processes, pipes and a descriptor table that is gone at once.
  const char* const restless = "while :; do echo | cat | cat >/dev/null; done";
  Program first({"sh", "-c", restless});
  Program second({"sh", "-c", restless});
  for (const std::string source : {"bpf", "proc"}) {
    for (int round = 0; round < 25; round++) {
      const Outcome listed = run(ipcscope_command({"ls", "--json", "--source=" + source}));
      CAPTURE(source, round, listed.errors);
      REQUIRE(listed.status == 0);
      const Document output = parse(listed.output);
      for (const std::string& problem : check_contract(output)) {
        FAIL_CHECK(problem);
      }
      for (const std::string& problem : compare_list(steady.truth(), output, source)) {
        FAIL_CHECK(problem);
      }
      // What ended while it was looked at is no gap in what could be seen.
      for (const Json& each : member(output, "coverage").GetArray()) {
        INFO(print(each));
        CHECK(member(each, "lost").GetUint64() == 0);
      }
    }
  }
  // The first word that they are given ends them: no loop stays behind.
  first.end();
  second.end();
}
