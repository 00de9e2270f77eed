// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/render/escape.h"

#include <catch2/catch.hpp>
#include <clocale>
#include <string>

#include "cli/render/utf8.h"

namespace ipcscope {

namespace {

constexpr EscapeStyle utf8 = {.utf8 = true, .blanks = false};
constexpr EscapeStyle ascii = {};
constexpr EscapeStyle raw = {.utf8 = true, .blanks = true};

void use_utf8() { REQUIRE(std::setlocale(LC_CTYPE, "C.UTF-8") != nullptr); }

}  // namespace

TEST_CASE("what a terminal acts on is escaped", "[escape]") {
  use_utf8();
  CHECK(escaped("plain /run/x", utf8) == "plain /run/x");
  CHECK(escaped("a\nb\tc\rd", utf8) == "a\\nb\\tc\\rd");
  CHECK(escaped("\x1b[31mred\x7f", utf8) == "\\x1b[31mred\\x7f");
  CHECK(escaped(std::string_view("a\0b", 3), utf8) == "a\\x00b");
  CHECK(escaped("\xc2\x9b"
                "31m",
                utf8) == "\\u{9b}31m");  // CSI as one C1 control
  CHECK(escaped("\xe2\x80\xae"
                "txt",
                utf8) == "\\u{202e}txt");  // right-to-left override
  CHECK(escaped("\xe2\x81\xa6", utf8) == "\\u{2066}");
  CHECK(escaped("\xe2\x80\x8b", utf8) == "\\u{200b}");  // zero width space
  CHECK(escaped("\xf3\xa0\x81\x81", utf8) == "\\u{e0041}");
  CHECK(escaped("\xef\xbb\xbf", utf8) == "\\u{feff}");
}

TEST_CASE("a backslash is doubled, so that an escape cannot be feigned", "[escape]") {
  CHECK(escaped("\\n", utf8) == "\\\\n");
  CHECK(escaped("\\x1b", ascii) == "\\\\x1b");
}

TEST_CASE("printable characters stay where the locale has them", "[escape]") {
  use_utf8();
  CHECK(escaped("caf\xc3\xa9", utf8) == "caf\xc3\xa9");
  CHECK(escaped("caf\xc3\xa9", ascii) == "caf\\u{e9}");
  CHECK(escaped("\xe6\x97\xa5", utf8) == "\xe6\x97\xa5");
}

TEST_CASE("what is not UTF-8 is shown byte by byte", "[escape]") {
  CHECK(escaped("\xff", utf8) == "\\xff");
  CHECK(escaped("\xc3", utf8) == "\\xc3");
  CHECK(escaped("\xc0\x80", utf8) == "\\xc0\\x80");           // overlong
  CHECK(escaped("\xed\xa0\x80", utf8) == "\\xed\\xa0\\x80");  // a surrogate
  CHECK(escaped("\xf4\x90\x80\x80", utf8) == "\\xf4\\x90\\x80\\x80");
  CHECK(escaped("\xe2\x80", utf8) == "\\xe2\\x80");
}

TEST_CASE("blanks are escaped where they separate columns", "[escape]") {
  CHECK(escaped("a b", raw) == "a\\x20b");
  CHECK(escaped("a b", utf8) == "a b");
}

TEST_CASE("decoding takes as many bytes as could have begun a character", "[utf8]") {
  CHECK(first_code_point("\xe2\x80"
                         "a")
            .size == 2);
  CHECK(first_code_point("\xe2"
                         "a")
            .size == 1);
  CHECK(first_code_point("\xf0\x80\x80\x80").size == 1);
  CHECK(first_code_point("\xf0\x9f\x98\x80").value == 0x1f600);
  CHECK(first_code_point("\xf0\x9f\x98\x80").valid);
}

TEST_CASE("widths and parts of a text", "[escape]") {
  use_utf8();
  CHECK(display_width("abc") == 3);
  CHECK(display_width("\xe6\x97\xa5") == 2);
  CHECK(display_width("e\xcc\x81") == 1);  // a combining accent
  CHECK(fitting_front("abcdef", 3) == "abc");
  CHECK(fitting_front("\xe6\x97\xa5\xe6\x97\xa5", 3) == "\xe6\x97\xa5");
  CHECK(fitting_back("abcdef", 2) == "ef");
  CHECK(shortened("abcdef", 6, false, true) == "abcdef");
  CHECK(shortened("abcdef", 4, false, true) == "abc…");
  CHECK(shortened("abcdef", 4, true, false) == "ab~f");
  CHECK(shortened("abcdef", 1, false, true) == "…");
  CHECK(shortened("abcdef", 0, false, true).empty());
}

}  // namespace ipcscope
