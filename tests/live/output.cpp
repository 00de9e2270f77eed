// SPDX-License-Identifier: GPL-2.0-or-later
// Output that cannot be trusted or cannot be written.
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <set>

#include "tests/live/comparison.h"
#include "tests/live/contract.h"
#include "tests/live/running_fixture.h"

using namespace ipcscope::live;
using ipcscope::Fd;

namespace {

/// The first byte that could drive a terminal: C0 but the newline, DEL, or C1 in UTF-8. npos: none.
size_t control_byte(const std::string& text) {
  for (size_t i = 0; i < text.size(); i++) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto next = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0U;
    if ((byte < 0x20 && byte != '\n') || byte == 0x7f ||
        (byte == 0xc2 && next >= 0x80 && next < 0xa0)) {
      return i;
    }
  }
  return std::string::npos;
}

void check_printable(const std::vector<std::string>& arguments) {
  const Outcome shown = run(ipcscope_command(arguments));
  CAPTURE(arguments, shown.errors);
  CHECK(shown.status == 0);
  for (const std::string* text : {&shown.output, &shown.errors}) {
    const size_t at = control_byte(*text);
    const std::string around =
        at == std::string::npos ? "" : text->substr(at < 80 ? 0 : at - 80, 160);
    INFO("in: " << print(Json(rapidjson::StringRef(around.data(), around.size()))));
    CHECK(at == std::string::npos);
  }
}

bool has_member(const Json& value, const char* key, const std::string& text) {
  if (value.IsArray()) {
    for (const Json& each : value.GetArray()) {
      if (has_member(each, key, text)) {
        return true;
      }
    }
  } else if (value.IsObject()) {
    for (const auto& each : value.GetObject()) {
      if ((text_of(each.name) == key && text_of(each.value) == text) ||
          has_member(each.value, key, text)) {
        return true;
      }
    }
  }
  return false;
}

}  // namespace

TEST_CASE("hostile names") {
  const RunningFixture fifo("fifo-hostile");
  const RunningFixture socket("unix-hostile");
  const RunningFixture command("comm-hostile");
  for (const std::string source : {"--source=bpf", "--source=proc"}) {
    const Outcome listed = run(ipcscope_command({"ls", "--json", source}));
    REQUIRE(listed.status == 0);
    const Document output = parse(listed.output);  // fails where a byte is not UTF-8
    for (const RunningFixture* fixture : {&fifo, &socket, &command}) {
      for (const char* key : {"name_hex", "comm_hex"}) {
        if (const Json& expected = member(fixture->truth(), key); expected.IsString()) {
          INFO(fixture->name() << " " << source << ": " << key << " " << text_of(expected));
          CHECK(has_member(output, key, std::string(text_of(expected))));
        }
      }
    }
    // JSON allows DEL and C1 unescaped, but a terminal would obey them.
    CHECK(control_byte(listed.output) == std::string::npos);
    check_printable({"ls", source});
    check_printable({"ls", "--raw", source});
    check_printable({"ls", "-n", source});
    check_printable({"ls", "--tree", source});
    check_printable({"ls", "-o", "id,name,who,pids", source});
    for (const RunningFixture* fixture : {&fifo, &socket, &command}) {
      for (const int pid : fixture->pids()) {
        check_printable({"show", std::to_string(pid), source});
      }
      const std::string id(text_of(member(member(fixture->truth(), "channels")[0], "id")));
      if (id.find('\n') == std::string::npos) {
        check_printable({"show", id, source});
      }
    }
  }
}

TEST_CASE("closed pipe") {
  for (const std::string form : {"--json", "--raw", "--tree"}) {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    ::close(ends[0]);
    const Fd writer(ends[1]);
    const Outcome shown = run(ipcscope_command({"ls", form}), Seconds(30), writer.get());
    CAPTURE(form);
    CHECK(shown.status == 128 + SIGPIPE);
    CHECK(shown.errors.empty());
  }
}

TEST_CASE("full disk") {
  for (const std::string form : {"--json", "--raw", "--tree"}) {
    const Fd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
    REQUIRE(full);
    const Outcome shown = run(ipcscope_command({"ls", form}), Seconds(30), full.get());
    CAPTURE(form, shown.errors);
    CHECK(shown.status == 3);
    CHECK(shown.errors.find("No space left on device") != std::string::npos);
  }
}

TEST_CASE("exit statuses") {
  const RunningFixture pipe("pipe");
  const std::string pid = std::to_string(pipe.pids()[1]);
  const std::string id(text_of(member(member(pipe.truth(), "channels")[0], "id")));
  const struct {
    std::vector<std::string> arguments;
    int status;
    const char* says;  ///< on the standard error
  } cases[] = {
      {{"ls"}, 0, ""},
      {{"ls", "-p", pid}, 0, ""},
      {{"show", id}, 0, ""},
      {{"show", pid}, 0, ""},
      {{"ls", "pip"}, 2, "pipe"},
      {{"ls", "-o", "idd"}, 2, "id"},
      {{"ls", "-p", "4194305"}, 2, "4194305"},
      {{"ls", "-p", "x"}, 2, "x"},
      {{"ls", "--source=ebpf"}, 2, "bpf"},
      {{"ls", "--user", "no-such-user"}, 2, "no-such-user"},
      {{"show", "pipe:1"}, 2, "pipe:1"},
      {{"show", "4194305"}, 2, "4194305"},
      {{"lss"}, 2, "ls"},
      {{}, 2, ""},
  };
  // Some kernels hide processes from BPF; then, and only then, the answer is not complete.
  const Outcome strict = run(ipcscope_command({"ls", "-p", pid, "--json", "--strict"}));
  const bool complete = strict.output.find("\"state\":\"partial\"") == std::string::npos &&
                        strict.output.find("\"state\":\"unavailable\"") == std::string::npos;
  CHECK(strict.status == (complete ? 0 : 4));
  for (const auto& each : cases) {
    const Outcome shown = run(ipcscope_command(each.arguments));
    CAPTURE(each.arguments, shown.errors);
    CHECK(shown.status == each.status);
    CHECK(shown.errors.find(each.says) != std::string::npos);
    if (each.status == 2) {
      CHECK(shown.output.empty());
      CHECK_FALSE(shown.errors.empty());
    }
  }
}

TEST_CASE("process with many descriptors") {
  const RunningFixture crowd("crowd", {"processes=1", "descriptors=15000"});
  REQUIRE(crowd.is_possible());
  const std::set<int> pids = [&] {
    const auto all = crowd.pids();
    return std::set<int>(all.begin(), all.end());
  }();
  for (const std::string source : {"bpf", "proc"}) {
    const auto begin = std::chrono::steady_clock::now();
    const Outcome listed = run(ipcscope_command({"ls", "--json", "--source=" + source}));
    const auto took = std::chrono::steady_clock::now() - begin;
    CAPTURE(source, listed.errors);
    REQUIRE(listed.status == 0);
    const Document output = parse(listed.output);
    std::set<std::pair<int, int>> seen;
    for (const Json& channel : member(output, "channels").GetArray()) {
      for (const Json& endpoint : member(channel, "endpoints").GetArray()) {
        if (member(endpoint, "pid").IsInt() && member(endpoint, "fd").IsInt() &&
            pids.count(member(endpoint, "pid").GetInt()) != 0) {
          seen.emplace(member(endpoint, "pid").GetInt(), member(endpoint, "fd").GetInt());
        }
      }
    }
    CHECK(seen.size() >= 15000);
    CHECK(took < std::chrono::seconds(10));
  }
}
