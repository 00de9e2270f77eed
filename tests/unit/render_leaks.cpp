// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/render/leaks.h"

#include <rapidjson/document.h>

#include <catch2/catch.hpp>

#include "tests/unit/leaks_support.h"
#include "tests/unit/render_harness.h"

namespace ipcscope {

namespace {

/// A report that a test fills by hand.
struct Hand {
  Snapshot snapshot;
  Leftovers leftovers;
  LeakReport report{snapshot, leftovers, {}, {}, {}, {}, {}, {}};

  Hand() { report.limits.resize(leak_kinds().size()); }

  Leak& leak(std::string id, std::string kind, Verdict verdict) {
    Leak& leak = report.leaks.emplace_back();
    leak.id = std::move(id);
    leak.kind = std::move(kind);
    leak.rule = "leaked-shm";
    leak.add("attached", "nobody has it attached", Verdict::leaked);
    if (verdict != Verdict::leaked) {
      leak.add("creator", "something speaks against it", verdict);
    }
    return leak;
  }

  [[nodiscard]] std::string text(LeakForm form, const Terminal& terminal = {}) const {
    if (form.columns.empty()) {
      form.columns = default_leak_columns();
    }
    return captured([&](Output& out) { write_leaks(out, terminal, report, form); });
  }

  [[nodiscard]] std::string cells(std::string_view columns, bool raw = false) const {
    LeakForm form;
    form.columns = *parse_leak_columns(columns);
    form.headings = false;
    form.raw = raw;
    return text(form);
  }

  [[nodiscard]] rapidjson::Document json() const {
    rapidjson::Document document;
    document.Parse(captured([&](Output& out) { write_leaks_json(out, report); }).c_str());
    REQUIRE_FALSE(document.HasParseError());
    return document;
  }
};

}  // namespace

TEST_CASE("cells of a leak", "[leaks]") {
  Hand hand;
  Leak& leak = hand.leak("shm:5", "shm", Verdict::leaked);
  leak.bytes = 65536;
  leak.age_s = 90;
  leak.creator = 100;
  leak.creator_text = "100, ended";
  leak.lost = "3 messages";
  leak.name_space = 7;
  leak.add("age", "not used for 90 s", Verdict::leaked);
  leak.add("creator", "creator 100 ended", Verdict::leaked);
  leak.add("last_user", "never attached", Verdict::leaked);
  CHECK(hand.cells("verdict,id,kind,age,size,creator,lost,ns") ==
        "leaked  shm:5  shm  1m30s  64K  100, ended  3 messages  7\n");
  CHECK(hand.cells("why") == "creator 100 ended; never attached\n");
  leak.kind = "msg";
  leak.lost = "3 messages, 300 bytes";
  leak.creator.reset();
  CHECK(hand.cells("why") == "loses 3 messages; never attached\n");
  CHECK(hand.cells("age,size,why,key", true) ==
        "90 65536 loses\\x203\\x20messages;\\x20never\\x20attached -\n");
}

TEST_CASE("processes that ended are told together", "[leaks]") {
  const auto told = [](const char* creator, const char* user) {
    Hand hand;
    Leak& leak = hand.leak("shm:5", "shm", Verdict::leaked);
    leak.creator = 5;
    leak.add("creator", "in full", Verdict::leaked, creator);
    leak.add("last_user", "in full", Verdict::leaked, user);
    return hand.cells("why");
  };
  CHECK(told("creator 5 ended", "last user 6 ended") == "creator 5, last user 6 ended\n");
  CHECK(told("creator 5 ended", "last user 5 ended") == "creator and last user 5 ended\n");
  CHECK(told("creator 5 ended", "last user 15 ended") == "creator 5, last user 15 ended\n");
  CHECK(told("creator 5 ended", "") == "creator 5 ended; in full\n");
}

TEST_CASE("a narrow terminal gets fewer columns of leaks", "[leaks]") {
  const auto count = [](size_t width) { return default_leak_columns(width).size(); };
  CHECK(count(60) == 4);
  CHECK(count(79) == 4);
  CHECK(count(80) == 6);
  CHECK(count(0) == 6);
}

TEST_CASE("what is unknown of a leak", "[leaks]") {
  Hand hand;
  hand.leak("shm:5", "shm", Verdict::suspect);
  CHECK(hand.cells("age,size,owner,creator") == "-  -  -  -\n");
  CHECK(hand.cells("why") == "something speaks against it\n");
}

TEST_CASE("ages below ten seconds are whole", "[leaks]") {
  Hand hand;
  hand.leak("shm:5", "shm", Verdict::leaked).age_s = 3;
  CHECK(hand.cells("age") == "3s\n");
}

TEST_CASE("columns of leaks by name", "[leaks]") {
  CHECK(parse_leak_columns("ID,Why")->size() == 2);
  CHECK(parse_leak_columns("+ns")->size() == default_leak_columns().size() + 1);
  CHECK(parse_leak_columns("id,").error().text() == "a column name is missing after -o");
  CHECK(parse_leak_columns("hwy").error().text() == "unknown column 'hwy'; did you mean 'why'?");
}

TEST_CASE("the table of leaks fits 100 columns", "[leaks]") {
  Hand hand;
  for (int i = 0; i < 3; i++) {
    Leak& leak =
        hand.leak(std::string("posixshm:/") + std::string(60, 'n'), "posixshm", Verdict::leaked);
    leak.bytes = uint64_t{1} << 30;
    leak.age_s = 100'000;
    leak.creator_text = "1234567, now a-long-command";
    leak.lost = "12345 messages, 123456789 bytes";
  }
  const std::string text = hand.text({}, {.interactive = true, .width = 100});
  size_t begin = 0;
  for (size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', begin)) {
    CHECK(display_width(text.substr(begin, end - begin)) <= 100);
    begin = end + 1;
  }
}

TEST_CASE("evidence in paragraphs", "[leaks]") {
  Hand hand;
  Leak& leak = hand.leak("shm:5\n", "shm", Verdict::suspect);
  leak.bytes = 1;
  leak.age_s = 90;
  LeakForm form;
  form.evidence = true;
  CHECK(hand.text(form) ==
        "suspect shm:5\\n (1 byte), age 1m30s\n"
        "    attached  nobody has it attached\n"
        "  * creator   something speaks against it\n");
}

TEST_CASE("only what is planned", "[leaks]") {
  Hand hand;
  hand.leak("shm:5", "shm", Verdict::leaked);
  hand.leak("shm:6", "shm", Verdict::leaked);
  hand.report.planned = {false, true};
  LeakForm form;
  form.columns = *parse_leak_columns("id");
  form.headings = false;
  form.planned = true;
  CHECK(hand.text(form) == "shm:6\n");
}

TEST_CASE("totals", "[leaks]") {
  Hand hand;
  CHECK(leak_totals(hand.report) == std::vector<std::string>{"nothing left behind"});
  hand.leak("shm:9", "shm", Verdict::suspect);
  CHECK(leak_totals(hand.report) == std::vector<std::string>{"nothing left behind; 1 suspect"});
  for (int i = 0; i < 2; i++) {
    hand.leak("shm:5", "shm", Verdict::leaked).bytes = uint64_t{1} << 30;
    hand.leak("sem:5", "sem", Verdict::leaked);
    hand.leak("unix:/x", "unix", Verdict::leaked);
  }
  hand.leak("msg:5", "msg", Verdict::leaked).bytes = 1;
  hand.report.limits[0] = 4096;
  hand.report.limits[1] = 32000;
  CHECK(
      leak_totals(hand.report).at(0) ==
      "leaked: 2 of 4,096 segments, 2.0 GiB; 2 of 32,000 semaphore sets; 1 message queue, 1 byte; "
      "2 socket paths; 1 suspect");
  hand.report.leaks[1].name_space = 7;  // the limit is the own namespace's
  hand.report.other_namespaces = {.leaked = 3, .suspect = 1};
  hand.report.other_users = {.leaked = 0, .suspect = 2};
  const auto lines = leak_totals(hand.report);
  REQUIRE(lines.size() == 3);
  CHECK(lines[0].find("leaked: 2 segments, 2.0 GiB; ") == 0);
  CHECK(lines[1] ==
        "not shown: 3 leaked and 1 suspect in other namespaces; --namespace=all shows them");
  CHECK(lines[2] ==
        "not shown: 0 leaked and 2 suspect of other users; run as root, or with --user");
}

TEST_CASE("leaks in JSON", "[leaks]") {
  Hand hand;
  hand.leak("shm:5", "shm", Verdict::leaked).creator = 100;
  hand.leak("fifo:/\xff", "fifo", Verdict::info);
  hand.leak("sem:5", "sem", Verdict::suspect);
  const auto document = hand.json();
  const auto& leaks = document["leaks"];
  REQUIRE(leaks.Size() == 3);
  CHECK(leaks[0]["verdict"] == "leaked");
  CHECK(leaks[0]["severity"] == "warning");
  CHECK(leaks[0]["removable"].GetBool());
  CHECK(leaks[0]["creator"].GetInt() == 100);
  CHECK(leaks[0]["namespace"].IsNull());
  CHECK(leaks[0]["bytes"].IsNull());
  CHECK(leaks[0]["evidence"]["attached"] == "nobody has it attached");
  CHECK_FALSE(leaks[0].HasMember("outcome"));
  CHECK(leaks[1]["verdict"] == "suspect");
  CHECK(leaks[1]["severity"] == "info");
  CHECK_FALSE(leaks[1]["removable"].GetBool());
  CHECK(leaks[1]["id_hex"] == "6669666f3a2fff");
  CHECK(leaks[2]["severity"] == "warning");
  const auto& findings = document["findings"];
  REQUIRE(findings.Size() == 1);
  CHECK(findings[0]["rule"] == "leaked-shm");
  CHECK(findings[0]["channels"][0] == "shm:5");
  CHECK(document["totals"][0]["leaked"].GetInt() == 1);
  CHECK(document["totals"][1]["suspect"].GetInt() == 1);
}

TEST_CASE("outcomes in JSON", "[leaks]") {
  Hand hand;
  for (int i = 0; i < 3; i++) {
    hand.leak("shm:5", "shm", Verdict::leaked);
  }
  hand.report.planned = {true, true, false};
  hand.report.outcomes = {Outcome{Outcome::State::skipped, "it changed", "/b"}, std::nullopt,
                          std::nullopt};
  const auto document = hand.json();
  const auto& leaks = document["leaks"];
  CHECK(leaks[0]["outcome"]["state"] == "skipped");
  CHECK(leaks[0]["outcome"]["reason"] == "it changed");
  CHECK(leaks[0]["outcome"]["backup"] == "/b");
  CHECK(leaks[1]["outcome"]["state"] == "planned");
  CHECK(leaks[1]["outcome"]["reason"].IsNull());
  CHECK(leaks[2]["outcome"].IsNull());
}

TEST_CASE("what was restored in JSON", "[leaks]") {
  const std::string text = captured([](Output& out) {
    write_restored_json(out, {{Restored::State::restored, "shm:5", "shm:9", ""},
                              {Restored::State::failed, "sem:5", "", "no room"}});
  });
  rapidjson::Document document;
  document.Parse(text.c_str());
  REQUIRE_FALSE(document.HasParseError());
  CHECK(document["restored"][0]["new_id"] == "shm:9");
  CHECK(document["restored"][0]["reason"].IsNull());
  CHECK(document["restored"][1]["state"] == "failed");
  CHECK(document["restored"][1]["new_id"].IsNull());
}

}  // namespace ipcscope
