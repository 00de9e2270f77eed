// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/render/why.h"

#include <rapidjson/document.h>

#include <catch2/catch.hpp>

#include "cli/arguments.h"
#include "tests/unit/paper_host.h"
#include "tests/unit/render_harness.h"

namespace ipcscope {
namespace {

/// Two processes that wait for each other, the name of one of which is hostile; a third behind
/// them.
class DeadlockedHost {
 public:
  DeadlockedHost() {
    const ThreadIndex a = host_.single(10), b = host_.single(20), behind = host_.single(30);
    host_.name(0, "bad\x1b[31m\"\n");
    host_.name(1, "right");
    host_.name(2, "behind");
    const ChannelIndex file = host_.channel(Kind::flock);
    host_.end(file, host_.of(a), Role::owner);
    host_.wait(a, "read", host_.pipe(host_.of(a), host_.of(b)));
    host_.wait(b, "flock", file);
    host_.wait(behind, "flock", file);
    for (const ThreadIndex each : {a, b, behind}) {
      host_.asleep(each, 60);
    }
    *snapshot = host_.take();
    report.graph.emplace(report.snapshot, report.facts);
    const StuckQuestion question = {report.snapshot, *report.graph, report.facts};
    report.findings = find_stuck(question);
    report.counts = count_waits(report.snapshot, *report.graph);
    report.groups = {{report.graph->chain(behind), {behind}}};
    report.apart_ms = 52;
  }
  std::shared_ptr<Snapshot> snapshot = std::make_shared<Snapshot>();
  WhyReport report{snapshot};

 private:
  Host host_;
};

Terminal terminal_of(size_t width, bool utf8 = false) {
  Terminal terminal;
  terminal.width = width;
  terminal.utf8 = utf8;
  return terminal;
}

}  // namespace

TEST_CASE("a chain as a tree", "[render_why]") {
  const DeadlockedHost host;
  const std::string text =
      captured([&](Output& out) { write_why_groups(out, terminal_of(0), host.report); });
  CHECK(text ==
        "behind[30], blocked for 1m00s\n"
        "  flock for flock:1\n"
        "`- holder: bad\\x1b[31m\"\\n[10], blocked for 1m00s\n"
        "     read from pipe:3\n"
        "   `- writer: right[20], blocked for 1m00s\n"
        "        flock for flock:1\n"
        "      `- holder: bad\\x1b[31m\"\\n[10], see above\n"
        "verdict: deadlock: bad\\x1b[31m\"\\n[10] -> right[20] -> bad\\x1b[31m\"\\n[10]\n");
}

TEST_CASE("nothing that is printed goes over the edge or drives the terminal", "[render_why]") {
  const DeadlockedHost host;
  for (const size_t width : {size_t{40}, size_t{60}, size_t{80}}) {
    const Terminal terminal = terminal_of(width, true);
    for (const std::string& text :
         {captured([&](Output& out) { write_why_chains(out, terminal, host.report); }),
          captured([&](Output& out) {
            write_why_findings(out, terminal, host.report, 10'000'000'000);
          })}) {
      std::string_view left = text;
      while (!left.empty()) {
        const std::string_view line = left.substr(0, left.find('\n'));
        left.remove_prefix(std::min(line.size() + 1, left.size()));
        INFO(width << " " << line);
        CHECK(display_width(line) <= width);
        CHECK(line.find('\x1b') == std::string_view::npos);
      }
    }
  }
}

TEST_CASE("findings, then what was looked at", "[render_why]") {
  DeadlockedHost host;
  const auto text = [&] {
    return captured(
        [&](Output& out) { write_why_findings(out, terminal_of(0), host.report, 10'000'000'000); });
  };
  CHECK(text().starts_with("deadlock: 2 threads of 2 processes wait for each other: "));
  CHECK(text().find("checked 3 threads, 3 waiting; 0 unreadable; 0 without an owner by design; "
                    "two looks 52 ms apart\n") != std::string::npos);
  CHECK(text().find("nothing stuck") == std::string::npos);
  host.report.findings.clear();
  CHECK(text().ends_with("\nnothing stuck\n"));
  host.snapshot->coverage.push_back(
      {"proc-fd", Coverage::State::partial, 9, 2, 0, "not yours", "be root"});
  CHECK(text().ends_with("\nnothing stuck was found; 2 could not be read (not yours: be root)\n"));
}

TEST_CASE("chains, findings and graph as JSON", "[render_why]") {
  const DeadlockedHost host;
  for (const bool one_line : {false, true}) {
    const std::string text =
        captured([&](Output& out) { write_why_json(out, host.report, one_line); });
    CHECK((text.find('\n') == text.size() - 1) == one_line);
    rapidjson::Document document;
    document.Parse(text.data(), text.size());
    REQUIRE_FALSE(document.HasParseError());
    CHECK(std::string(document["command"].GetString()) == "why");
    const auto& chain = document["chains"][0];
    CHECK(chain["tid"].GetInt() == 30);
    REQUIRE(chain["steps"].Size() == 3);
    CHECK(std::string(chain["steps"][1]["operation"].GetString()) == "read");
    CHECK(chain["steps"][1]["since_ms"].GetInt() == 60000);
    CHECK(chain["steps"][1]["timeout_ms"].IsNull());
    CHECK(std::string(chain["root"]["verdict"].GetString()) == "deadlock");
    CHECK(chain["root"]["tid"].GetInt() == 10);
    REQUIRE(document["findings"].Size() == 2);
    CHECK(std::string(document["findings"][0]["rule"].GetString()) == "deadlock");
    CHECK(document["findings"][0]["evidence"].HasMember("cycle"));
    CHECK(document["graph"]["nodes"].Size() == 3);
    CHECK(document["graph"]["edges"].Size() == 3);
    CHECK(document["checked"]["threads"].GetInt() == 3);
    CHECK(document["looks"]["apart_ms"].GetInt() == 52);
  }
}

TEST_CASE("the graph in the language of graphviz", "[render_why]") {
  const DeadlockedHost host;
  const std::string text = captured([&](Output& out) { write_why_dot(out, host.report); });
  CHECK(text.starts_with("digraph why {\n"));
  CHECK(text.ends_with("}\n"));
  CHECK(text.find("t10 [shape=box, label=\"bad\\\\x1b[31m\\\"\\\\n[10]\", color=red];") !=
        std::string::npos);
  CHECK(text.find("[style=dashed, label=\"holder\"]") != std::string::npos);
}

TEST_CASE("durations of the command line", "[render_why]") {
  CHECK(parse_duration("10").value() == 10'000'000'000);
  CHECK(parse_duration("0.5").value() == 500'000'000);
  CHECK(parse_duration("250ms").value() == 250'000'000);
  CHECK(parse_duration("2m").value() == 120'000'000'000);
  CHECK(parse_duration("2h").value() == 7'200'000'000'000);
  CHECK(parse_duration("1d").value() == 86'400'000'000'000);
  CHECK(parse_duration("0").value() == 0);
  for (const char* bad : {"", "s", "-1", "1x", "1 s", "nan", "inf", "1e3", "99999999999"}) {
    INFO(bad);
    CHECK_FALSE(parse_duration(bad));
  }
}

}  // namespace ipcscope
