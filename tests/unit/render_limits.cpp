// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/render/limits.h"

#include <rapidjson/document.h>

#include <catch2/catch.hpp>

#include "tests/unit/render_harness.h"

namespace ipcscope {

namespace {

/// A report that a test fills by hand.
struct Hand {
  Snapshot snapshot;
  LimitReport report{snapshot, {}, {}, {}};

  LimitUse& use(std::string name, std::string scope, std::optional<uint64_t> used,
                std::optional<uint64_t> limit) {
    report.shown.push_back(report.uses.size());
    LimitUse& use = report.uses.emplace_back();
    use.name = std::move(name);
    use.scope = std::move(scope);
    use.used = used;
    use.limit = limit;
    return use;
  }

  [[nodiscard]] std::string cells(std::string_view columns, bool raw = false) const {
    LimitForm form;
    form.columns = *parse_limit_columns(columns);
    form.headings = false;
    form.raw = raw;
    return captured([&](Output& out) { write_limits(out, {}, report, form); });
  }

  [[nodiscard]] rapidjson::Document json() const {
    rapidjson::Document document;
    document.Parse(captured([&](Output& out) { write_limits_json(out, report); }).c_str());
    REQUIRE_FALSE(document.HasParseError());
    return document;
  }
};

}  // namespace

TEST_CASE("cells of a limit", "[limits]") {
  Hand hand;
  hand.use("SHMMNI", "ipc", 3900, 4096);
  LimitUse& process = hand.use("RLIMIT_NOFILE", "process:7", 1000, 1024);
  process.place.kind = LimitPlace::Kind::process;
  process.place.pid = 7;
  process.users = {{7, 0, "a\x1b[31m b", 1000}};
  LimitUse& user = hand.use("fs.inotify.max_user_watches", "user:4294967000", 1, 100'000'000);
  user.place.kind = LimitPlace::Kind::user;
  user.place.uid = 4294967000U;
  user.users = {{8, 1, "x", 1}, {0, 4294967000U, "", 0}};
  CHECK(hand.cells("limit,scope,used,cap,percent") ==
        "SHMMNI                       ipc             3900  4096  95%\n"
        "RLIMIT_NOFILE                a\\x1b[31m b[7]  1000  1024  97%\n"
        "fs.inotify.max_user_watches  4294967000         1  100M  <1%\n");
  CHECK(hand.cells("scope,used,cap,percent,by", true) ==
        "ipc 3900 4096 95 -\n"
        "a\\x1b[31m\\x20b[7] 1000 1024 97 -\n"
        "4294967000 1 100000000 0 x[8]=1,4294967000\n");
}

TEST_CASE("cells of what is not known", "[limits]") {
  Hand hand;
  hand.use("SEMOPM", "ipc", std::nullopt, 500);
  hand.use("a", "ipc", 3, std::nullopt);
  hand.use("b", "ipc", 3, std::nullopt).unlimited = true;
  LimitUse& bytes = hand.use("c", "ipc", 3 << 20, 4 << 20);
  bytes.unit = LimitUnit::bytes;
  bytes.at_most = true;
  CHECK(hand.cells("limit,used,cap,percent", true) ==
        "SEMOPM - 500 -\na 3 - -\nb 3 none -\nc 3145728 4194304 75\n");
  CHECK(hand.cells("limit,used,cap,percent").find("c       <=3.0M  4.0M  75%") !=
        std::string::npos);
}

TEST_CASE("columns of limits", "[limits]") {
  CHECK(default_limit_columns(0).size() == 6);
  CHECK(default_limit_columns(80).size() == 6);
  CHECK(default_limit_columns(40).size() == 3);
  CHECK(parse_limit_columns("+remedy")->size() == 7);
  CHECK(parse_limit_columns("+remedy")->back().name == "remedy");
  REQUIRE_FALSE(parse_limit_columns("limit,percnt"));
  CHECK(parse_limit_columns("limit,percnt").error().text() ==
        "unknown column 'percnt'; did you mean 'percent'?");
}

TEST_CASE("summary of limits", "[limits]") {
  Hand hand;
  CHECK(limits_summary(hand.report) == "nothing is near its limit");
  hand.use("a", "ipc", 96, 100).severity = Severity::critical;
  hand.use("b", "ipc", 85, 100).severity = Severity::warning;
  hand.use("c", "ipc", 1, 100);
  hand.report.shown.pop_back();
  CHECK(limits_summary(hand.report) ==
        "2 near, 1 of them critical; 2 of 3 limits shown, --all shows the others");
}

TEST_CASE("only so many findings of limits are told at length", "[limits]") {
  Hand hand;
  for (int i = 0; i < 7; i++) {
    LimitUse& use = hand.use("SHMMNI", "ipc", 96, 100);
    use.severity = Severity::critical;
    use.remedy = "sysctl -w kernel.shmmni=200";
  }
  hand.report.findings = near_limits(hand.report.uses);
  const std::string text =
      captured([&](Output& out) { write_near_limits(out, {}, hand.report, 5); });
  size_t told = 0;
  for (size_t at = text.find("near-limit: "); at != std::string::npos;
       at = text.find("near-limit: ", at + 1)) {
    told++;
  }
  CHECK(told == 5);
  CHECK(text.ends_with("\nand 2 more that are near; --all tells how each is raised\n"));
  CHECK(text.find("  do         sysctl -w kernel.shmmni=200\n") != std::string::npos);
}

TEST_CASE("JSON of limits", "[limits]") {
  Hand hand;
  LimitUse& use = hand.use("SHMALL", "ipc@9", 0, UINT64_MAX);
  use.place.name_space = 9;
  use.users = {{7, 33, "\xff", 0}, {0, UINT32_MAX, "", 5}};
  hand.use("SEMOPM", "ipc", std::nullopt, std::nullopt);
  const rapidjson::Document document = hand.json();
  const auto& limits = document["limits"];
  REQUIRE(limits.Size() == 2);
  CHECK(limits[0]["namespace"].GetUint() == 9);
  CHECK(limits[0]["used"].GetUint() == 0);
  CHECK(std::string(limits[0]["limit"].GetString()) == "18446744073709551615");
  CHECK(limits[0]["percent"].GetUint() == 0);
  const auto& users = limits[0]["users"];
  REQUIRE(users.Size() == 2);
  CHECK(users[0]["pid"].GetInt() == 7);
  CHECK(users[0]["used"].IsNull());
  CHECK(std::string(users[0]["comm_hex"].GetString()) == "ff");
  CHECK(users[1]["pid"].IsNull());
  CHECK(users[1]["uid"].IsNull());
  CHECK(users[1]["used"].GetUint() == 5);
  for (const char* key : {"namespace", "used", "limit", "percent", "remedy", "note"}) {
    CHECK(limits[1][key].IsNull());
  }
  CHECK(document["findings"].Empty());
}

}  // namespace ipcscope
