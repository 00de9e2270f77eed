// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/base/parse.h"

#include <catch2/catch.hpp>
#include <cstdint>

using namespace ipcscope;

TEST_CASE("a number is the whole text or nothing", "[base]") {
  CHECK(parse_number<int>("42") == 42);
  CHECK(parse_number<int>("-1") == -1);
  CHECK(parse_number<unsigned>("ff", 16) == 255U);
  CHECK(parse_number<uint64_t>("18446744073709551615") == UINT64_MAX);
  for (const char* text : {"", "x", "1x", " 1", "1 ", "+1", "0x1", "-"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_number<int>(text));
  }
  CHECK_FALSE(parse_number<int>("2147483648"));
  CHECK_FALSE(parse_number<unsigned>("-1"));
}

TEST_CASE("words are cut off the front", "[base]") {
  std::string_view text = "  one\ttwo \n";
  CHECK(next_word(text) == "one");
  CHECK(text == "\ttwo \n");
  CHECK(next_word(text) == "two");
  CHECK(next_word(text).empty());
  CHECK(text.empty());
  CHECK(next_word(text).empty());

  text = "fd:01:77";
  CHECK(next_word(text, ":") == "fd");
  CHECK(next_number<int>(text, 16).has_value() == false);  // ":01:77" is one word
}

TEST_CASE("lines are cut off the front", "[base]") {
  std::string_view text = "one\n\nlast";
  CHECK(next_line(text) == "one");
  CHECK(next_line(text).empty());
  CHECK(text == "last");
  CHECK(next_line(text) == "last");
  CHECK(text.empty());
}
