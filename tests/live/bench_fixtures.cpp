// SPDX-License-Identifier: GPL-2.0-or-later
// `ipcscope-fixture bench`: that it measures every mechanism, and that its numbers agree with each
// other. How fast they are is the machine's.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include "tests/live/json.h"
#include "tests/live/main.h"
#include "tests/live/program.h"

using namespace ipcscope::live;

namespace {

Outcome bench(const std::vector<std::string>& arguments) {
  std::vector<std::string> command{IPCSCOPE_FIXTURE_PROGRAM, "bench"};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return run(command);
}

/// A path in /tmp that is gone at the end.
struct TemporaryPath {
  std::string path = fmt::format("/tmp/ipcscope-test-{}.svg", ::getpid());
  TemporaryPath() = default;
  ~TemporaryPath() { std::filesystem::remove(path); }
  TemporaryPath(const TemporaryPath&) = delete;
  TemporaryPath& operator=(const TemporaryPath&) = delete;
};

}  // namespace

TEST_CASE("bench measures every mechanism") {
  const TemporaryPath plot;
  const Outcome outcome = bench({"--json", "--rounds", "2", "--time", "1", "--sizes",
                                 "1,100,4096,65536", "--plot", plot.path});
  INFO(outcome.errors);
  REQUIRE(outcome.status == 0);
  const Document report = parse(outcome.output);
  CHECK(text_of(member(report, "schema")) == "ipcscope-bench/1");

  std::set<std::string> measured;
  for (const Json& row : member(report, "rows").GetArray()) {
    INFO(print(row));
    const std::string name(text_of(member(row, "mechanism")));
    measured.insert(name);
    const int64_t bytes = member(row, "bytes").GetInt64();
    const int64_t rate = member(row, "messages_per_s").GetInt64();
    CHECK(rate > 0);
    CHECK(std::llabs(member(row, "bytes_per_s").GetInt64() - rate * bytes) <= bytes);
    CHECK(member(row, "latency_p50_ns").GetInt64() > 0);
    CHECK(member(row, "latency_p99_ns").GetInt64() >= member(row, "latency_p50_ns").GetInt64());
    CHECK(member(row, "rounds_messages_per_s").Size() == 2);
    const Json& calls = member(row, "calls_per_1000_messages");
    if (calls.IsInt64() && (name == "pipe" || name == "unix-stream") && bytes < 4096) {
      // One write and one read; a reader that is behind may take several messages of a stream.
      CHECK(calls.GetInt64() >= 1500);
      CHECK(calls.GetInt64() <= 3500);
    }
  }
  const std::string list = bench({"--list"}).output;
  std::istringstream lines(list);
  size_t kinds = 0;
  for (std::string line; std::getline(lines, line);) {
    const std::string name = line.substr(0, line.find(' '));
    if (name != "logpipe") {
      INFO(name);
      CHECK(measured.count(name) == 1);
      kinds++;
    }
  }
  CHECK(kinds > 25);
  CHECK(measured.size() == kinds);

  CHECK(member(report, "models").Size() > 20);
  for (const Json& model : member(report, "models").GetArray()) {
    CHECK(member(model, "residuals_permille").Size() == member(model, "sizes").Size());
  }
  CHECK(member(member(report, "mq_order"), "out_of_order").GetInt64() == 0);
  CHECK(member(member(report, "mq_order"), "messages").GetInt64() == 5000);

  std::ifstream file(plot.path);
  const std::string picture{std::istreambuf_iterator<char>(file), {}};
  CHECK(picture.starts_with("<svg "));
  for (const std::string& name : measured) {
    CHECK(picture.find(">" + name + "</text>") != std::string::npos);
  }
}

TEST_CASE("bench says what it was asked, and what it cannot") {
  const Outcome one = bench({"pipe", "--sizes", "64", "--rounds", "1", "--time", "1"});
  CHECK(one.status == 0);
  CHECK(one.output.find("64 B") != std::string::npos);
  CHECK(one.output.find("unix") == std::string::npos);
  const Outcome unknown = bench({"pip"});
  CHECK(unknown.status == 2);
  CHECK(unknown.errors.find("did you mean \"pipe\"?") != std::string::npos);
  CHECK(bench({"--sizes", "0"}).status == 2);
  CHECK(bench({"logpipe", "pipe"}).status == 2);
}

TEST_CASE("bench fits the log pipeline") {
  const Outcome outcome = bench({"logpipe", "--json", "--rounds", "1"});
  INFO(outcome.errors);
  REQUIRE(outcome.status == 0);
  const Document report = parse(outcome.output);
  CHECK(member(report, "rows").Size() == 18);
  REQUIRE(member(report, "model").IsObject());
  CHECK(member(member(report, "model"), "batch_ns").GetInt64() > 0);
}
