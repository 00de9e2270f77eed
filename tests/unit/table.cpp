// SPDX-License-Identifier: GPL-2.0-or-later
// Every kind of channel has a stem in collectors/ and a place in ipcscope-json(5). That it has a
// fixture too is asserted in tests/live/, which can run the fixtures' program.
#include <bitset>
#include <catch2/catch.hpp>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "collectors/mechanism.h"

using namespace ipcscope;

namespace {

/// The words of the subsections of KINDS.
std::set<std::string> documented_kinds() {
  std::ifstream page(IPCSCOPE_MAN_DIRECTORY "/ipcscope-json.5");
  REQUIRE(page);
  std::set<std::string> kinds;
  bool in_kinds = false;
  for (std::string line; std::getline(page, line);) {
    std::istringstream words(line);
    std::string word;
    words >> word;
    if (word == ".Sh") {
      words >> word;
      in_kinds = word == "KINDS";
    } else if (in_kinds && word == ".Ss") {
      while (words >> word) {
        kinds.insert(word);
      }
    }
  }
  return kinds;
}

}  // namespace

TEST_CASE("every kind has a stem", "[table]") {
  std::array<int, kind_count> makers{};
  std::set<std::string> stems;
  for (const MechanismEntry& entry : mechanism_table()) {
    CAPTURE(entry.stem);
    CHECK(stems.insert(entry.stem).second);
    REQUIRE(entry.make != nullptr);
    CHECK(entry.make() != nullptr);
    for (const Kind kind : entry.kinds) {
      makers[static_cast<size_t>(kind)]++;
    }
    for (const record_kind record : entry.records) {
      CHECK(record > RECORD_NONE);
      CHECK(record < RECORD_KINDS);
    }
  }
  for (size_t i = 0; i < kind_count; i++) {
    CAPTURE(kind_name(static_cast<Kind>(i)));
    // Raw sockets come from two: those of IP, and those of families that have no kind of their own.
    const bool is_raw = static_cast<Kind>(i) == Kind::raw;
    CHECK(makers[i] == (is_raw ? 2 : 1));
  }
}

TEST_CASE("every record has a stem that takes it", "[table]") {
  std::bitset<RECORD_KINDS> taken;
  for (const MechanismEntry& entry : mechanism_table()) {
    for (const record_kind record : entry.records) {
      taken.set(record);
    }
  }
  for (size_t i = RECORD_NONE + 1; i < RECORD_KINDS; i++) {
    CAPTURE(i);
    // Threads and counts belong to the snapshot itself; a plain file and references never leave
    // their source.
    CHECK((taken.test(i) || i == RECORD_THREAD || i == RECORD_FD_COUNT || i == RECORD_FILE ||
           i == RECORD_REFERENCES));
  }
}

TEST_CASE("every kind is documented, and nothing else", "[table]") {
  std::set<std::string> kinds;
  for (size_t i = 0; i < kind_count; i++) {
    kinds.emplace(kind_name(static_cast<Kind>(i)));
  }
  CHECK(documented_kinds() == kinds);
}
