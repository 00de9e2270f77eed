// SPDX-License-Identifier: GPL-2.0-or-later
#define CATCH_CONFIG_RUNNER
#define CATCH_CONFIG_CONSOLE_WIDTH 1000  // wrapped lines of JSON could not be searched
#include "tests/live/main.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <catch2/catch.hpp>

namespace ipcscope::live {

namespace {

Choice chosen;
bool was_impossible = false;

int run_tests(int argc, char** argv) {
  Catch::Session session;
  using namespace Catch::clara;
  session.cli(session.cli() | Opt(chosen.fixture, "name")["--fixture"]("the fixture of the test") |
              Opt(chosen.source, "bpf|proc")["--source"]("the source of the test"));
  if (const int error = session.applyCommandLine(argc, argv); error != 0) {
    return error;
  }
  // A command that ends early must not take the tests with it.
  ::signal(SIGPIPE, SIG_IGN);
  const bool lists = session.configData().listTestNamesOnly || session.configData().listTests;
  if (!lists && ::geteuid() != 0) {
    tell_impossible("the live tests need root");
    return 77;
  }
  // A name that no test has, or has no more, would pass.
  session.configData().warnings = static_cast<Catch::WarnAbout::What>(
      session.configData().warnings | Catch::WarnAbout::NoTests);
  const int failed = session.run();
  return failed == 0 && was_impossible ? 77 : failed;
}

}  // namespace

const Choice& choice() { return chosen; }

void tell_impossible(const std::string& reason) {
  was_impossible = true;
  fmt::print("NOT POSSIBLE HERE: {}\n", reason);
}

}  // namespace ipcscope::live

int main(int argc, char** argv) { return ipcscope::live::run_tests(argc, argv); }
