// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/render/text.h"

#include <signal.h>

#include <catch2/catch.hpp>

#include "cli/suggest.h"

namespace ipcscope {

namespace {

std::string bytes(uint64_t value) {
  std::string out;
  append_bytes(out, value);
  return out;
}

std::string duration(uint64_t milliseconds) {
  std::string out;
  append_duration(out, milliseconds);
  return out;
}

std::string since_text(std::optional<uint64_t> blocked, std::optional<uint64_t> last_run) {
  Thread thread;
  thread.blocked_ns = blocked;
  thread.last_run_ns = last_run;
  std::string out;
  append_since(out, since(thread), false);
  return out;
}

constexpr uint64_t second = 1'000'000'000;

}  // namespace

TEST_CASE("sizes take four characters", "[text]") {
  CHECK(bytes(0) == "0");
  CHECK(bytes(1023) == "1023");
  CHECK(bytes(1024) == "1.0K");
  CHECK(bytes(4097) == "4.0K");
  CHECK(bytes(65536) == "64K");
  CHECK(bytes(1023 * 1024) == "1023K");
  CHECK(bytes(1024 * 1024 - 1) == "1.0M");
  CHECK(bytes(10'188) == "9.9K");
  CHECK(bytes(10'200) == "10K");
  CHECK(bytes(UINT64_MAX) == "16E");
}

TEST_CASE("durations", "[text]") {
  CHECK(duration(0) == "0ms");
  CHECK(duration(999) == "999ms");
  CHECK(duration(1500) == "1.5s");
  CHECK(duration(41'000) == "41s");
  CHECK(duration(312'000) == "5m12s");
  CHECK(duration(3600'000 * 3 + 720'000) == "3h12m");
  CHECK(duration(uint64_t{86'400'000} * 2 + 4 * 3600'000) == "2d4h");
}

TEST_CASE("percent says 0 and 100 only when it is so", "[text]") {
  CHECK(percent(0, 100) == 0);
  CHECK(percent(1, 65536) == 1);
  CHECK(percent(65535, 65536) == 99);
  CHECK(percent(65536, 65536) == 100);
  CHECK(percent(3, 10) == 30);
  CHECK(percent(3, 2) == 150);
  CHECK(percent(0, 0) == 0);
  CHECK(percent(1, 0) == 100);
  CHECK(percent(UINT64_MAX, 1) == 999);
}

TEST_CASE("a wait is exact when its two bounds agree", "[text]") {
  CHECK(since_text(41 * second, 41 * second + 5) == "41s");
  CHECK(since_text(41 * second, 44 * second) == "41s");  // within a tenth
  CHECK(since_text(41 * second, 60 * second) == ">=41s");
  CHECK(since_text(second / 100, second / 11) == "10ms");  // nobody would notice
  CHECK(since_text(41 * second, std::nullopt) == ">=41s");
  CHECK(since_text(std::nullopt, 41 * second).empty());
}

TEST_CASE("names of signals", "[text]") {
  CHECK(signal_name(SIGINT) == "SIGINT");
  CHECK(signal_name(SIGRTMIN) == "SIGRTMIN");
  CHECK(signal_name(SIGRTMIN + 3) == "SIGRTMIN+3");
  CHECK(signal_name(99) == "signal 99");
}

TEST_CASE("times", "[text]") {
  CHECK(time_text(1'795'232'683'123'456'789) == "2026-11-21T03:44:43.123Z");
  CHECK(time_text(0) == "1970-01-01T00:00:00.000Z");
}

TEST_CASE("the nearest name", "[suggest]") {
  static constexpr std::string_view names[] = {"pipe",    "unix",     "epoll",
                                               "eventfd", "posixshm", "shm"};
  CHECK(nearest("pip", names) == "pipe");
  CHECK(nearest("pipes", names) == "pipe");
  CHECK(nearest("UNIX", names) == "unix");
  CHECK(nearest("ieventfd", names) == "eventfd");
  CHECK(nearest("epol", names) == "epoll");
  CHECK(nearest("shmm", names) == "shm");
  CHECK(nearest("zebra", names).empty());
  CHECK(nearest("", names).empty());
  CHECK(nearest(std::string(100'000, 'x'), names).empty());
}

}  // namespace ipcscope
