// SPDX-License-Identifier: GPL-2.0-or-later
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>

#include "collectors/child.h"

using namespace ipcscope;
using namespace std::chrono_literals;

namespace {

bool has_children() { return ::waitpid(-1, nullptr, WNOHANG) != -1; }

}  // namespace

TEST_CASE("a child's output is collected", "[child]") {
  const std::string much(1 << 20, 'x');
  const auto output = run_in_child([&](int out) { write_all(out, much); }, 10s);
  REQUIRE(output);
  CHECK(output->complete);
  CHECK(output->bytes == much);
  CHECK_FALSE(has_children());
}

TEST_CASE("a child that dies or hangs leaves what it wrote", "[child]") {
  const auto died = run_in_child(
      [](int out) {
        write_all(out, "some");
        ::raise(SIGKILL);
      },
      10s);
  REQUIRE(died);
  CHECK_FALSE(died->complete);
  CHECK(died->bytes == "some");

  const auto begin = std::chrono::steady_clock::now();
  const auto hung = run_in_child(
      [](int out) {
        write_all(out, "some");
        ::pause();
      },
      50ms);
  REQUIRE(hung);
  CHECK_FALSE(hung->complete);
  CHECK(hung->bytes == "some");
  // One that closes its output and then hangs.
  const auto silent = run_in_child(
      [](int out) {
        ::close(out);
        ::pause();
      },
      50ms);
  REQUIRE(silent);
  CHECK_FALSE(silent->complete);
  CHECK(std::chrono::steady_clock::now() - begin < 5s);
  CHECK_FALSE(has_children());
}
