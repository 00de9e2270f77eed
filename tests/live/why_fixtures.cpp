// SPDX-License-Identifier: GPL-2.0-or-later
// What `why` says of every fixture against what is true: roots, chains and findings, and no finding
// where none is due.
#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "tests/live/main.h"
#include "tests/live/running_fixture.h"

using namespace ipcscope::live;

namespace {

/// Where /proc cannot tell what the truth says, and what it says instead.
struct UnknownToProc {
  const char* fixture;
  const char* root;
  const char* finding;
};
constexpr UnknownToProc unknown_to_proc[] = {
    // Only the kernel's terminal knows that its output is stopped; so the emulator is asked.
    {"why-terminal-stopped", "signal", "none"},
    {"problem-terminal-stopped", "signal", "none"},
};

const UnknownToProc* unknown(const std::string& fixture) {
  for (const UnknownToProc& each : unknown_to_proc) {
    if (choice().source == "proc" && fixture == each.fixture) {
      return &each;
    }
  }
  return nullptr;
}

/// How often a truth met an answer.
class Confusion {
 public:
  void count(const std::string& expected, const std::string& got) {
    counts_[{expected, got}]++;
    expected_.insert(expected);
    got_.insert(got);
  }
  [[nodiscard]] std::string table(const char* title) const {
    std::string text = fmt::format("{}\n{:16}", title, "expected \\ got");
    for (const std::string& got : got_) {
      text += fmt::format(" {:>13}", got);
    }
    for (const std::string& expected : expected_) {
      text += fmt::format("\n{:16}", expected);
      for (const std::string& got : got_) {
        const auto found = counts_.find({expected, got});
        text += fmt::format(" {:>13}", found == counts_.end() ? 0 : found->second);
      }
    }
    return text + "\n";
  }

 private:
  std::map<std::pair<std::string, std::string>, int> counts_;
  std::set<std::string> expected_, got_;
};

struct Tables {
  Confusion roots, findings;
};

Document ask(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "why");
  arguments.insert(arguments.end(), {"--json", "--source=" + choice().source});
  const Outcome outcome = run(ipcscope_command(std::move(arguments)));
  INFO("standard error: " << outcome.errors);
  REQUIRE((outcome.status == 0 || outcome.status == 1));
  return parse(outcome.output);
}

const Json* chain_of(const Document& answer, int tid) {
  for (const Json& chain : member(answer, "chains").GetArray()) {
    if (member(chain, "tid").GetInt() == tid) {
      return &chain;
    }
  }
  return nullptr;
}

/// The rules that name a thread. A deadlock that is not certain is "suspected".
std::set<std::string> rules_of(const Document& answer, int tid) {
  std::set<std::string> rules;
  for (const Json& finding : member(answer, "findings").GetArray()) {
    for (const Json& each : member(finding, "tids").GetArray()) {
      if (each.GetInt() == tid) {
        const std::string_view rule = text_of(member(finding, "rule"));
        const bool is_certain = member(member(finding, "evidence"), "suspected").IsNull();
        rules.emplace(rule == "deadlock" && !is_certain ? "suspected" : rule);
      }
    }
  }
  return rules;
}

std::string joined(const std::set<std::string>& words) {
  return words.empty() ? "none" : fmt::format("{}", fmt::join(words, ","));
}

/// Every member of the truth's step, at its place.
bool begins_with(const Json& steps, const Json& truth) {
  for (rapidjson::SizeType i = 0; i < truth.Size(); i++) {
    if (i >= steps.Size()) {
      return false;
    }
    for (const auto& each : truth[i].GetObject()) {
      if (member(steps[i], each.name.GetString()) != each.value) {
        return false;
      }
    }
  }
  return true;
}

void compare_root(const std::string& fixture, const Json& truth, const Document& chains,
                  Confusion& table) {
  std::string expected(text_of(member(truth, "root")));
  if (const UnknownToProc* instead = unknown(fixture)) {
    expected = instead->root;
  }
  if (expected == "nobody") {  // the vocabulary of verdicts has no word of its own for it
    expected = "unknown-owner";
  }
  const Json* chain = chain_of(chains, member(truth, "tid").GetInt());
  const std::string got(chain == nullptr ? "absent"
                                         : text_of(member(member(*chain, "root"), "verdict")));
  table.count(expected, got);
  if (got != expected) {
    FAIL_CHECK(fmt::format("{}: expected {}, got {}\ntruth: {}\nchain: {}", fixture, expected, got,
                           print(truth), chain == nullptr ? "none" : print(*chain, 2000)));
  } else if (!begins_with(member(*chain, "steps"), member(truth, "chain"))) {
    FAIL_CHECK(fmt::format("{}: another chain\ntruth: {}\nchain: {}", fixture, print(truth),
                           print(*chain, 2000)));
  }
}

void compare_finding(const std::string& fixture, const Json& truth, const Document& stuck,
                     Confusion& table) {
  std::set<std::string> rules = rules_of(stuck, member(truth, "tid").GetInt());
  if (!truth.HasMember("finding")) {  // not certain
    return;
  }
  const Json& finding = member(truth, "finding");
  std::string expected(finding.IsNull() ? "none" : text_of(finding));
  if (const UnknownToProc* instead = unknown(fixture)) {
    expected = instead->finding;
  }
  table.count(expected, joined(rules));
  if (expected == "none" ? !rules.empty() : rules.count(expected) == 0) {
    FAIL_CHECK(fmt::format("{}: expected the finding {}, got {}\ntruth: {}\nfindings: {}", fixture,
                           expected, joined(rules), print(truth),
                           print(member(stuck, "findings"), 3000)));
  }
}

/// No thread of the fixture is in a deadlock but those of which the truth says so.
void check_quiet(const RunningFixture& fixture, const Document& stuck, Confusion& table) {
  std::set<int> deadlocked;
  if (const Json& truths = member(fixture.truth(), "why"); truths.IsArray()) {
    for (const Json& truth : truths.GetArray()) {
      if (text_of(member(truth, "root")) == "deadlock") {
        deadlocked.insert(member(truth, "tid").GetInt());
      }
    }
  }
  const std::vector<int> pids = fixture.pids();
  for (const Json& finding : member(stuck, "findings").GetArray()) {
    const auto all = member(finding, "pids").GetArray();
    const bool is_own = std::any_of(all.begin(), all.end(), [&](const Json& pid) {
      return std::find(pids.begin(), pids.end(), pid.GetInt()) != pids.end();
    });
    if (!is_own || text_of(member(finding, "rule")) != "deadlock") {
      continue;
    }
    for (const Json& tid : member(finding, "tids").GetArray()) {
      if (deadlocked.count(tid.GetInt()) == 0) {
        table.count("elsewhere", "deadlock");
        FAIL_CHECK(fmt::format("{}: thread {} is in no deadlock\nfinding: {}", fixture.name(),
                               tid.GetInt(), print(finding, 2000)));
      }
    }
  }
}

void compare(const RunningFixture& fixture, Tables& tables) {
  const Document stuck = ask({"--longer-than=0"});
  check_quiet(fixture, stuck, tables.findings);
  const Json& truths = member(fixture.truth(), "why");
  if (!truths.IsArray()) {
    return;
  }
  std::vector<std::string> tids;
  for (const Json& truth : truths.GetArray()) {
    tids.push_back(print(member(truth, "tid")));
  }
  const Document chains = ask(tids);
  for (const Json& truth : truths.GetArray()) {
    compare_root(fixture.name(), truth, chains, tables.roots);
    compare_finding(fixture.name(), truth, stuck, tables.findings);
  }
}

}  // namespace

TEST_CASE("why", "[fixture]") {
  REQUIRE((choice().source == "bpf" || choice().source == "proc"));
  Tables tables;
  size_t with_truth = 0;
  std::vector<std::string> impossible;
  std::vector<std::string> names = fixture_names();
  const std::vector<std::string> scenes = scene_names();
  names.insert(names.end(), scenes.begin(), scenes.end());
  for (const std::string& name : names) {
    if (!choice().fixture.empty() && name != choice().fixture) {
      continue;
    }
    RunningFixture fixture(name);
    if (!fixture.is_possible()) {
      impossible.push_back(fmt::format("{}: {}", name, fixture.reason()));
      continue;
    }
    with_truth += fixture.truth().HasMember("why") ? 1 : 0;
    compare(fixture, tables);
    CHECK_THAT(fixture.stop(), Catch::Equals(""));
  }
  fmt::print("{}: {} fixtures with a truth of {}\n{}\n{}", choice().source, with_truth,
             names.size(), tables.roots.table("Roots"), tables.findings.table("Findings"));
  for (const std::string& each : impossible) {
    fmt::print("NOT POSSIBLE HERE: {}\n", each);
  }
  // A few kinds of files and machines are not everywhere; the rest has to be.
  CHECK(impossible.size() < 10);
  CHECK((with_truth > 120 || !choice().fixture.empty()));
}
