// SPDX-License-Identifier: GPL-2.0-or-later
// Every mechanism in use: its channels are listed as it says, and what it carried is intact.
#include <fmt/format.h>

#include <catch2/catch.hpp>

#include "tests/live/comparison.h"
#include "tests/live/contract.h"
#include "tests/live/main.h"
#include "tests/live/running_fixture.h"

using namespace ipcscope::live;

namespace {

void compare_sources(const RunningFixture& fixture) {
  for (const std::string source : {"bpf", "proc"}) {
    const Outcome listed = run(ipcscope_command({"ls", "--json", "--source=" + source}));
    REQUIRE(listed.status == 0);
    const Document output = parse(listed.output);
    Problems problems = compare_list(fixture.truth(), output, source);
    for (const Json& channel : member(fixture.truth(), "channels").GetArray()) {
      if (const Json* found = find_channel(output, text_of(member(channel, "id")))) {
        check_channel_contract(*found, problems);
      }
    }
    if (!problems.empty()) {
      FAIL_CHECK(fmt::format("{}, {}: {}\ntruth: {}", fixture.name(), source,
                             fmt::join(problems, "\n"), print(fixture.truth(), 3000)));
    }
  }
}

/// Not possible here, and that is as expected?
bool is_skipped(const RunningFixture& fixture) {
  if (fixture.is_possible()) {
    return false;
  }
  fmt::print("NOT POSSIBLE HERE: {}: {}\n", fixture.name(), fixture.reason());
  const auto expected = expected_to_be_impossible(fixture.name());
  INFO(fixture.name() << ": " << fixture.reason());
  CHECK((expected ? expected->is_lacking() : !in_ci()));
  return true;
}

}  // namespace

TEST_CASE("mechanisms in use") {
  size_t with_channels = 0;
  size_t used = 0;
  for (const std::string& name : use_names()) {
    RunningFixture fixture(name);
    if (is_skipped(fixture)) {
      continue;
    }
    INFO(name);
    compare_sources(fixture);
    const Document did = fixture.work();
    INFO(print(did));
    REQUIRE(member(did, "intact").IsBool());
    CHECK(member(did, "intact").GetBool());
    CHECK_THAT(fixture.stop(), Catch::Equals(""));
    with_channels += member(fixture.truth(), "channels").Empty() ? 0 : 1;
    ++used;
  }
  fmt::print("{} mechanisms in use, {} of them with channels\n", used, with_channels);
  CHECK(used > 55);
  CHECK(with_channels > 45);
}

TEST_CASE("higher systems are labelled with their protocol") {
  const std::pair<std::string, std::string> systems[] = {{"use-dbus", "D-Bus"},
                                                         {"use-zeromq", "ZeroMQ"},
                                                         {"use-nng", "nng"},
                                                         {"use-grpc", "gRPC"},
                                                         {"use-onc-rpc", "ONC RPC"}};
  for (const auto& [name, protocol] : systems) {
    RunningFixture fixture(name);
    if (is_skipped(fixture)) {
      continue;
    }
    // Then every connection is accepted.
    (void)fixture.work();
    INFO(name);
    const std::string list =
        run(ipcscope_command({"ls", "--raw", "-n", "-o", "id,app_protocol"})).output;
    for (const Json& channel : member(fixture.truth(), "channels").GetArray()) {
      const std::string id(text_of(member(channel, "id")));
      INFO(id);
      const std::string word = protocol == "ONC RPC" ? "ONC_RPC" : protocol;
      CHECK(list.find(fmt::format("{} {}\n", id, word)) != std::string::npos);
      const std::string shown = run(ipcscope_command({"show", id})).output;
      CHECK(shown.find(fmt::format(" {}, ", protocol)) != std::string::npos);
      const Document json = parse(run(ipcscope_command({"show", "--json", id})).output);
      const Json& label = member(member(json, "channels")[0], "app_protocol");
      REQUIRE(label.IsObject());
      CHECK(text_of(member(label, "name")) == protocol);
    }
  }
}

TEST_CASE("sockets of other programs have no protocol that anything tells") {
  for (const std::string name : {"use-unix-stream", "use-tcp-echo", "use-mach-port"}) {
    RunningFixture fixture(name);
    REQUIRE(fixture.is_possible());
    for (const Json& channel : member(fixture.truth(), "channels").GetArray()) {
      const std::string id(text_of(member(channel, "id")));
      const Document json = parse(run(ipcscope_command({"show", "--json", id})).output);
      const Json& shown = member(json, "channels")[0];
      INFO(print(shown));
      REQUIRE(shown.HasMember("app_protocol"));
      CHECK(member(shown, "app_protocol").IsNull());
    }
  }
}

TEST_CASE("a mechanism in use carries as much as it is told to") {
  for (const std::string name : {"use-pipe", "use-unix-stream", "use-msg", "use-posix-shm"}) {
    RunningFixture fixture(name, {"messages=7", "bytes=17"});
    REQUIRE(fixture.is_possible());
    const Document did = fixture.work();
    INFO(print(did));
    CHECK(member(did, "intact").GetBool());
    const int sent = member(did, "sent").GetInt();
    CHECK(sent % 7 == 0);
    CHECK(sent > 0);
    CHECK(member(did, "bytes").GetInt() == sent * 17);
  }
}
