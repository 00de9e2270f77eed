// SPDX-License-Identifier: GPL-2.0-or-later
// An ordinary user sees their own processes, and is told what they do not see.
#include <fmt/format.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>

#include "tests/live/comparison.h"
#include "tests/live/contract.h"
#include "tests/live/running_fixture.h"

using namespace ipcscope::live;

namespace {

/// Copies of the programs where everybody may run them: the build tree may be root's alone.
class PublicCopies {
 public:
  PublicCopies() {
    char path[] = "/tmp/ipcscope-live-XXXXXX";
    REQUIRE(::mkdtemp(path) != nullptr);
    directory_ = path;
    REQUIRE(::chmod(path, 0755) == 0);
    for (const char* program : {IPCSCOPE_PROGRAM, IPCSCOPE_FIXTURE_PROGRAM}) {
      const std::filesystem::path from = program;
      std::filesystem::copy_file(from, directory_ / from.filename());
    }
  }
  ~PublicCopies() {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  PublicCopies(const PublicCopies&) = delete;

  /// The copy of a program, as user nobody.
  [[nodiscard]] std::vector<std::string> command(const std::string& program,
                                                 std::vector<std::string> arguments) const {
    std::vector<std::string> words = {"setpriv",
                                      "--reuid",
                                      "65534",
                                      "--regid",
                                      "65534",
                                      "--clear-groups",
                                      (directory_ / program).string()};
    words.insert(words.end(), arguments.begin(), arguments.end());
    return words;
  }

 private:
  std::filesystem::path directory_;
};

}  // namespace

TEST_CASE("ordinary user", "[newest-kernel]") {
  const PublicCopies copies;
  const RunningFixture of_root("unix-path");

  SECTION("is told what could not be seen") {
    const Outcome listed = run(copies.command("ipcscope", {"ls", "--json"}));
    INFO(listed.errors);
    REQUIRE(listed.status == 0);
    const Document output = parse(listed.output);
    for (const std::string& problem : check_contract(output)) {
      FAIL_CHECK(problem);
    }
    bool bpf = false;
    bool files = false;
    for (const Json& each : member(output, "coverage").GetArray()) {
      INFO(print(each));
      if (text_of(member(each, "state")) == "full") {
        CHECK(member(each, "reason").IsNull());
        continue;
      }
      CHECK_FALSE(text_of(member(each, "reason")).empty());
      CHECK_FALSE(text_of(member(each, "hint")).empty());
      bpf = bpf || text_of(member(each, "source")).starts_with("bpf");
      files = files || (text_of(member(each, "source")) == "proc-fd" &&
                        member(each, "unreadable").GetUint64() > 0);
    }
    CHECK(bpf);
    CHECK(files);
  }
  SECTION("gets the exit statuses") {
    CHECK(run(copies.command("ipcscope", {"ls", "--strict"})).status == 4);
    const Outcome refused = run(copies.command("ipcscope", {"ls", "--source=bpf"}));
    CHECK(refused.status == 3);
    CHECK(refused.output.empty());
    CHECK_FALSE(refused.errors.empty());
    CHECK(run(copies.command("ipcscope", {"doctor"})).status == 1);
  }
  SECTION("is told what would help where nothing can be measured") {
    for (const std::vector<std::string>& command : {std::vector<std::string>{"locks", "-d", "0.1"},
                                                    {"trace", "-d", "0.1"},
                                                    {"ls", "--source=bpf"},
                                                    {"top", "--batch", "--source=bpf"}}) {
      const Outcome refused = run(copies.command("ipcscope", command));
      INFO(command.front() << ": " << refused.errors);
      CHECK(refused.status == 3);
      CHECK(refused.output.empty());
      CHECK(std::count(refused.errors.begin(), refused.errors.end(), '\n') == 1);
      CHECK(refused.errors.find("; run as root, or with CAP_BPF, CAP_PERFMON") !=
            std::string::npos);
    }
    const Outcome frame = run(copies.command("ipcscope", {"top", "--batch", "-n", "1", "--json"}));
    REQUIRE(frame.status == 0);
    size_t measured = 0;
    for (const Json& each : member(parse(frame.output), "coverage").GetArray()) {
      if (text_of(member(each, "source")) == "bpf-activity") {
        measured++;
        CHECK(text_of(member(each, "hint")).starts_with("run as root, or with CAP_BPF"));
      }
    }
    CHECK(measured == 1);
  }
  SECTION("is told in the text too") {
    const Outcome listed = run(copies.command("ipcscope", {"ls"}));
    CHECK(listed.status == 0);
    CHECK(listed.errors.find("permission denied") != std::string::npos);
  }
  SECTION("sees their own") {
    for (const std::string name : {"pipe-empty", "unix-stream", "tcp", "shm", "mutex", "eventfd"}) {
      Program fixture(copies.command("ipcscope-fixture", {name}));
      const std::string truth = fixture.read_line(Seconds(30));
      INFO(name << ": " << fixture.errors());
      REQUIRE_FALSE(truth.empty());
      const Outcome listed = run(copies.command("ipcscope", {"ls", "--json"}));
      REQUIRE(listed.status == 0);
      for (const std::string& problem : compare_list(parse(truth), parse(listed.output), "proc")) {
        FAIL_CHECK(problem);
      }
      fixture.close_input();
      CHECK(fixture.wait(Seconds(10)) == 0);
    }
  }
}
