// SPDX-License-Identifier: GPL-2.0-or-later
// `ls -p PID` does not describe the whole host; what it shows has to be the same as if it did.
#include <catch2/catch.hpp>
#include <chrono>
#include <map>
#include <thread>

#include "tests/live/contract.h"
#include "tests/live/running_fixture.h"
#include "tests/live/strangers.h"

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

/// What a process has in the whole list, and what the list of it alone shows.
struct Lists {
  Channels expected, alone;
  size_t channels = 0;  ///< of the list of it alone
};

Lists list_both(int pid) {
  const Document everything = list({});
  const Document alone = list({"-p", std::to_string(pid)});
  return {channels_of(everything, pid), channels_of(alone, pid), member(alone, "channels").Size()};
}

void check_alone(const std::vector<int>& pids) {
  for (const int pid : pids) {
    CAPTURE(pid);
    Lists lists = list_both(pid);
    // A fixture's helpers may still be about to close what they have inherited.
    for (int i = 0; i < 3 && lists.alone != lists.expected; i++) {
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
      lists = list_both(pid);
    }
    CHECK(lists.channels == lists.expected.size());
    for (const auto& [id, text] : lists.alone) {
      const auto found = lists.expected.find(id);
      CAPTURE(id);
      CHECK(text == (found == lists.expected.end() ? "" : found->second));
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

TEST_CASE("processes alone and what a stranger has of theirs") {
  for (const StrangerScene& scene : stranger_scenes()) {
    INFO(scene.name);
    const Strangers strangers(scene.first, scene.second);
    remove_leftovers();
    const auto [first, second] = strangers.pids();
    CHECK(first != 0);
    CHECK(second != 0);
    if (first == 0 || second == 0) {
      continue;
    }
    check_alone({first, second});
    const Document alone = list({"-p", std::to_string(first)});
    bool seen = false;
    for (const Json& channel : member(alone, "channels").GetArray()) {
      seen = seen || names(member(channel, "endpoints"), second);
    }
    CHECK(seen == scene.second_has_end);
  }
}
