// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/render/table.h"

#include <catch2/catch.hpp>
#include <clocale>
#include <sstream>

#include "cli/render/wrap.h"
#include "tests/unit/render_harness.h"

namespace ipcscope {

namespace {

Table sample(Table::Form form, const std::string& id) {
  Table table({{.heading = "ID", .flexible = true, .cut_inside = true},
               {.heading = "N", .right = true},
               {.heading = "WHO", .flexible = true}},
              form, true);
  table.cell(id);
  table.cell("7");
  table.cell("nginx[812] -> php-fpm[77]");
  table.cell("b");
  table.cell("12");
  table.cell("");
  return table;
}

std::string print(const Table& table, const Terminal& terminal) {
  return captured([&](Output& out) { table.print(out, terminal); });
}

}  // namespace

TEST_CASE("columns are aligned, without blanks at the end of a line", "[table]") {
  CHECK(print(sample(Table::Form::aligned, "pipe:1"), {}) ==
        "ID       N  WHO\n"
        "pipe:1   7  nginx[812] -> php-fpm[77]\n"
        "b       12\n");
}

TEST_CASE("without a terminal nothing is shortened, and one long cell does not widen the rest",
          "[table]") {
  const std::string path(4096, 'x');
  const std::string text = print(sample(Table::Form::aligned, path), {});
  CHECK(text.find(path + "   7  nginx[812] -> php-fpm[77]\n") != std::string::npos);
  CHECK(text.find("\nb   12\n") != std::string::npos);
}

TEST_CASE("a terminal is never overrun, however narrow", "[table]") {
  std::setlocale(LC_CTYPE, "C.UTF-8");
  const bool utf8 = GENERATE(false, true);
  for (size_t width = 1; width < 60; width++) {
    const std::string text =
        print(sample(Table::Form::aligned, "fifo:/a/long/\u65e5\u672c/path"),
              {.interactive = true, .width = width, .color = false, .utf8 = utf8});
    std::istringstream lines(text);
    size_t rows = 0;
    for (std::string line; std::getline(lines, line); rows++) {
      INFO(width << ": " << line);
      CHECK(display_width(line) <= width);
    }
    CHECK(rows == 3);
  }
}

TEST_CASE("paths keep both ends when they are shortened", "[table]") {
  const std::string text = print(sample(Table::Form::aligned, "fifo:/var/lib/some/where/queue"),
                                 {.interactive = true, .width = 35, .color = false, .utf8 = false});
  CHECK(text.find("fifo:/v~/queue") != std::string::npos);
}

TEST_CASE("raw output has one blank between cells and no empty cell", "[table]") {
  CHECK(print(sample(Table::Form::raw, "pipe:1"), {.width = 10}) ==
        "ID N WHO\npipe:1 7 nginx[812] -> php-fpm[77]\nb 12 -\n");
}

TEST_CASE("colour only where it is wanted", "[table]") {
  Table table({{.heading = "A"}}, Table::Form::aligned, false);
  table.cell("full", Style::alarm);
  CHECK(print(table, {.color = false}) == "full\n");
  CHECK(print(table, {.color = true}) == "\033[1;31mfull\033[0m\n");
}

TEST_CASE("many rows", "[table]") {
  Table table({{.heading = "A"}, {.heading = "B"}}, Table::Form::aligned, false);
  for (int i = 0; i < 100'000; i++) {
    table.cell("1234567");
    table.cell("x");
  }
  CHECK(print(table, {}).size() == 100'000 * 11);
}

TEST_CASE("text is broken at blanks", "[wrap]") {
  const auto wrapped = [](size_t width, std::string_view text) {
    return captured([&](Output& out) {
      write_wrapped(out, {.interactive = width != 0, .width = width}, "  a ", 4, text);
    });
  };
  CHECK(wrapped(0, "one two three four") == "  a one two three four\n");
  CHECK(wrapped(18, "one two three four") == "  a one two three\n    four\n");
  CHECK(wrapped(18, "onetwothreefourfive") == "  a onetwothreefou\n    rfive\n");
  CHECK(wrapped(1, "one two").find("two") != std::string::npos);
}

}  // namespace ipcscope
