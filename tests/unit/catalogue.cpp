// SPDX-License-Identifier: GPL-2.0-or-later
// The fixtures' runbooks against what was asked for, and against themselves.
#include "cli/selftest/catalogue.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <set>
#include <sstream>

#include "cli/selftest/program.h"
#include "cli/selftest/sight.h"

using namespace ipcscope;

namespace {

const Catalogue& catalogue() {
  static const Result<Catalogue> loaded = load_catalogue();
  if (!loaded) {
    FAIL(loaded.error().text());
  }
  return *loaded;
}

bool is_among(const std::string& word, const std::vector<Word>& words) {
  return std::any_of(words.begin(), words.end(),
                     [&](const Word& each) { return each.word == word; });
}

/// "NAME KEY=VALUE" names a fixture and settings that it has.
void check_lookalike(const std::string& text) {
  std::istringstream words(text);
  std::string name;
  words >> name;
  const FixtureEntry* fixture = catalogue().find(name);
  INFO("look-alike " << text);
  REQUIRE(fixture != nullptr);
  for (std::string setting; words >> setting;) {
    const std::string key = setting.substr(0, setting.find('='));
    const auto& all = fixture->parameters;
    CHECK(std::any_of(all.begin(), all.end(),
                      [&](const FixtureEntry::Parameter& each) { return each.name == key; }));
  }
}

}  // namespace

TEST_CASE("every word of the catalogue has a fixture", "[catalogue]") {
  std::ifstream file(IPCSCOPE_TEST_DATA "/catalogue.txt");
  std::set<std::string> problems;
  std::set<std::string> uses;
  for (const FixtureEntry& each : catalogue().fixtures) {
    problems.insert(each.problem);
    uses.insert(each.uses.begin(), each.uses.end());
  }
  size_t words = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line.starts_with('#')) {
      continue;
    }
    std::istringstream parts(line);
    std::string list;
    std::string word;
    parts >> list >> word;
    INFO(line);
    REQUIRE((list == "mechanism" || list == "problem"));
    CHECK((list == "problem" ? problems : uses).count(word) == 1);
    words++;
  }
  CHECK(words > 100);
}

TEST_CASE("runbooks are complete and true to their tables", "[catalogue]") {
  std::set<std::string> names;
  for (const FixtureEntry& fixture : catalogue().fixtures) {
    INFO(fixture.name);
    CHECK(names.insert(fixture.name).second);
    CHECK_FALSE(fixture.reproduces.empty());
    CHECK_FALSE(fixture.how.empty());
    CHECK_FALSE(fixture.look_for.empty());
    CHECK((fixture.problem.empty() || is_among(fixture.problem, catalogue().problems)));
    for (const std::string& use : fixture.uses) {
      INFO(use);
      CHECK(is_among(use, catalogue().uses));
    }
    for (const FixtureSight& sight : fixture.sights) {
      INFO(sight.command << " " << sight.shows);
      CHECK_FALSE(questions_of(sight).empty());
      CHECK_FALSE(sight.shows.empty());
    }
    if (!fixture.problem.empty()) {
      CHECK_FALSE(fixture.lookalikes.empty());
      CHECK(fixture.sights.empty() != fixture.unseen.empty());
    }
    for (const std::string& each : fixture.lookalikes) {
      check_lookalike(each);
      CHECK(each != fixture.name);
    }
  }
}

TEST_CASE("words of the catalogue are said once", "[catalogue]") {
  for (const auto* words : {&catalogue().problems, &catalogue().uses}) {
    std::set<std::string> known;
    for (const Word& each : *words) {
      INFO(each.word);
      CHECK(known.insert(each.word).second);
      CHECK_FALSE(each.meaning.empty());
    }
  }
}

TEST_CASE("no runbook is about a fixture that is not there", "[catalogue]") {
  const Result<ProgramOutcome> list =
      run_program({catalogue().program, "--list", "--json"}, 20'000);
  REQUIRE(list);
  JsonDocument document;
  document.Parse(list->output.c_str());
  REQUIRE(member(document, "stray_runbooks").IsArray());
  CHECK(texts_of(member(document, "stray_runbooks")).empty());
}

TEST_CASE("what is no list of fixtures is refused", "[catalogue]") {
  for (const char* text : {"", "{}", "[]", "{\"fixtures\":1}", "{\"fixtures\":[", "no JSON"}) {
    INFO(text);
    CHECK_FALSE(parse_catalogue(text));
  }
  const Result<Catalogue> empty = parse_catalogue(R"({"fixtures":[{}]})");
  REQUIRE(empty);
  CHECK(empty->fixtures.size() == 1);
  CHECK(empty->find("x") == nullptr);
}
