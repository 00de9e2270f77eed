// SPDX-License-Identifier: GPL-2.0-or-later
// A fixture that is told to end in the middle of its work ends then, and its children with it.
#include <fmt/format.h>
#include <signal.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <thread>

#include "tests/live/json.h"
#include "tests/live/main.h"
#include "tests/live/program.h"
#include "tests/live/running_fixture.h"

using namespace ipcscope::live;

TEST_CASE("busy fixtures end when they are told to") {
  const std::vector<std::string> names =
      choice().fixture.empty() ? busy_names() : std::vector<std::string>{choice().fixture};
  CHECK_FALSE(names.empty());
  for (const std::string& name : names) {
    for (const int signal : {SIGTERM, SIGINT, SIGHUP}) {
      INFO(name << " and " << ::strsignal(signal));
      Program fixture({IPCSCOPE_FIXTURE_PROGRAM, "--go", name, "operations=100000000"});
      const std::string line = fixture.read_line(Seconds(20));
      INFO(fixture.errors());
      REQUIRE_FALSE(line.empty());
      const Document truth = parse(line);
      std::this_thread::sleep_for(std::chrono::milliseconds(60));  // they begin after 20
      ::kill(fixture.pid(), signal);
      CHECK(fixture.wait(Seconds(4)) == 0);
      CHECK(fixture.output().empty());
      for (const Json& each : member(truth, "pids").GetArray()) {
        CHECK_FALSE(std::filesystem::exists(fmt::format("/proc/{}", each.GetInt())));
      }
    }
  }
}
