// SPDX-License-Identifier: GPL-2.0-or-later
// `ls -p PID` does not describe the whole host; what it shows has to be the same as if it did.
#include <catch2/catch.hpp>
#include <map>

#include "tests/live/contract.h"
#include "tests/live/running_fixture.h"

using namespace ipcscope::live;

namespace {

/// What does not change while a fixture holds, by the id of the channel.
using Channels = std::map<std::string, std::string>;

bool names(const Json& list, int pid) {
  for (const Json& each : list.GetArray()) {
    if (const Json& found = member(each, "pid"); found.IsInt() && found.GetInt() == pid) {
      return true;
    }
  }
  return false;
}

Document list(const std::vector<std::string>& arguments) {
  std::vector<std::string> all = {"ls", "--json", "--source=bpf"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  const Outcome listed = run(ipcscope_command(all));
  INFO(listed.errors);
  REQUIRE(listed.status == 0);
  return parse(listed.output);
}

Channels channels_of(const Document& output, int pid) {
  Channels found;
  for (const Json& channel : member(output, "channels").GetArray()) {
    if (names(member(channel, "endpoints"), pid) || names(member(channel, "waits"), pid)) {
      std::string& text = found[std::string(text_of(member(channel, "id")))];
      for (const char* key : {"depth", "capacity", "owner", "endpoints"}) {
        text += print(member(channel, key), SIZE_MAX);
      }
      if (text_of(member(channel, "kind")) != "timerfd") {  // that runs on
        text += print(member(channel, "attributes"), SIZE_MAX);
      }
    }
  }
  return found;
}

void check_alone(const std::vector<int>& pids) {
  const Document everything = list({});
  for (const int pid : pids) {
    CAPTURE(pid);
    const Document alone = list({"-p", std::to_string(pid)});
    const Channels expected = channels_of(everything, pid);
    CHECK(member(alone, "channels").Size() == expected.size());
    for (const auto& [id, text] : channels_of(alone, pid)) {
      const auto found = expected.find(id);
      CAPTURE(id);
      CHECK(text == (found == expected.end() ? "" : found->second));
    }
  }
}

}  // namespace

TEST_CASE("processes alone in a crowd") {
  const RunningFixture crowd("crowd", {"processes=12", "descriptors=1500", "sysv=10"});
  REQUIRE(crowd.is_possible());
  check_alone(crowd.pids());
}

TEST_CASE("processes alone with each fixture") {
  for (const std::string& name : fixture_names()) {
    const RunningFixture fixture(name);
    if (fixture.is_possible()) {
      INFO(name);
      check_alone(fixture.pids());
    }
  }
}
