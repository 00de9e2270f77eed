// SPDX-License-Identifier: GPL-2.0-or-later
// `top` beside processes that make and leave thousands of things a second. Short by default; with
// IPCSCOPE_SOAK_SECONDS=600 it goes on for ten minutes. IPCSCOPE_SOAK_PROGRAM names another build.
#include <fmt/format.h>
#include <signal.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "tests/live/churn.h"
#include "tests/live/json.h"
#include "tests/live/program.h"

using namespace ipcscope::live;

namespace {

/// What a process holds.
struct Holdings {
  uint64_t resident_bytes = 0;
  size_t descriptors = 0;
};

Holdings look_at(pid_t pid) {
  Holdings holdings;
  std::ifstream status(fmt::format("/proc/{}/statm", pid));
  uint64_t pages = 0;
  status >> pages >> pages;
  holdings.resident_bytes = pages * 4096;
  std::error_code error;
  for (const auto& each :
       std::filesystem::directory_iterator(fmt::format("/proc/{}/fd", pid), error)) {
    holdings.descriptors += each.path().empty() ? 0 : 1;
  }
  return holdings;
}

int seconds_to_go() {
  const char* text = std::getenv("IPCSCOPE_SOAK_SECONDS");
  return text != nullptr ? std::atoi(text) : 12;
}

std::vector<std::string> command_of(const char* tab) {
  std::vector<std::string> command = ipcscope_command({"top", "--json", "-d", "0.2", "--tab", tab});
  if (const char* other = std::getenv("IPCSCOPE_SOAK_PROGRAM")) {
    command[0] = other;
  }
  return command;
}

/// The largest of those that were seen in a part of the time: what is held goes up and down.
struct Most {
  Holdings most;
  void add(const Holdings& seen) {
    most.resident_bytes = std::max(most.resident_bytes, seen.resident_bytes);
    most.descriptors = std::max(most.descriptors, seen.descriptors);
  }
};

void soak(const char* tab, int seconds) {
  CAPTURE(tab);
  using Clock = std::chrono::steady_clock;
  const Churn churn;
  Program top(command_of(tab));
  const auto begin = Clock::now();
  const auto duration = std::chrono::seconds(seconds);
  Most early;
  Most late;
  uint64_t frames = 0;
  uint64_t channels = 0;
  // However slow the frames are, there is one of each part.
  while (Clock::now() - begin < duration || late.most.resident_bytes == 0) {
    const std::string line = top.read_line(Seconds(30));
    INFO("standard error: " << top.errors());
    REQUIRE_FALSE(line.empty());
    frames++;
    // Frames are parsed now and then only: this process is to leave time to the others.
    if (frames % 10 == 1) {
      const Document frame = parse(line);
      REQUIRE(frame.IsObject());
      const Json& listed = member(frame, "channels");  // of other tabs: null
      channels += listed.IsArray() ? listed.Size() : 0;
    }
    const auto elapsed = Clock::now() - begin;
    if (elapsed > duration / 4 && (elapsed < duration / 2 || early.most.resident_bytes == 0)) {
      early.add(look_at(top.pid()));
    } else if (elapsed > duration * 3 / 4) {
      late.add(look_at(top.pid()));
    }
  }
  const uint64_t rounds = churn.rounds();
  ::kill(top.pid(), SIGINT);
  top.read_all(Seconds(30));
  const std::optional<int> status = top.wait(Seconds(5));
  INFO("standard error: " << top.errors());
  REQUIRE(status);
  CHECK(*status == 0);
  fmt::print(
      "{}: {} frames beside {} rounds in {} s; {} and then {} KiB, {} and then {} descriptors\n",
      tab, frames, rounds, seconds, early.most.resident_bytes / 1024,
      late.most.resident_bytes / 1024, early.most.descriptors, late.most.descriptors);
  CHECK(frames > static_cast<uint64_t>(seconds) / 4);
  CHECK(rounds > 100 * static_cast<uint64_t>(seconds));  // on a loaded machine; thousands elsewhere
  REQUIRE(early.most.resident_bytes > 0);
  REQUIRE(late.most.resident_bytes > 0);
  CHECK(late.most.resident_bytes <=
        early.most.resident_bytes * 11 / 10 + (uint64_t{IPCSCOPE_SOAK_SLACK_MIB} << 20));
  CHECK(late.most.descriptors <= early.most.descriptors + 4);
  CHECK((std::string(tab) != "channels" || channels > 0));
}

}  // namespace

TEST_CASE("top lives beside processes that come and go") {
  const int seconds = seconds_to_go();
  soak("channels", seconds / 2);
  soak("locks", seconds / 6 + 2);
  soak("processes", seconds / 6 + 2);
  soak("findings", seconds / 6 + 2);
}
