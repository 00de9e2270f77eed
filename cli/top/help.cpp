// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/top/help.h"

#include <fmt/format.h>

#include "cli/render/column_list.h"
#include "cli/render/wrap.h"

namespace ipcscope {

namespace {

struct KeyHelp {
  std::string_view keys;
  std::string_view what;
};

constexpr KeyHelp keys[] = {
    {"1 to 5, Tab, Left, Right", "another tab"},
    {"arrows, j k", "one row on; the selection stays on its row when the order changes"},
    {"PgUp PgDn, ^B ^F", "a screen on"},
    {"Home End, g G", "the first, the last row; on the first the selection stays on top"},
    {"Enter", "the row in full, with the chain of waits"},
    {"/, n N", "search, the next one, the one before"},
    {"\\ or f",
     "filter: words that a row has to have: kinds, numbers of processes, names; !WORD: "
     "must not have"},
    {"Esc", "no filter any more; or back to the table"},
    {"s", "choose the column to sort by"},
    {"< >", "sort by the column to the left, to the right"},
    {"r", "the other way round"},
    {"Space, p", "pause, go on"},
    {"d", "seconds between two looks"},
    {"w", "write the view into a new file, all of its rows"},
    {"c", "coverage: what could not be seen"},
    {"^L, ^Z", "draw anew, suspend"},
    {"?, h", "this help"},
    {"q, ^C", "quit"},
};

void add(std::vector<Line>& lines, std::string_view name, std::string_view what, size_t width) {
  constexpr size_t indent = 27;
  std::string text;
  Output memory(text);
  // A narrow screen has no room for two columns.
  if (width > indent + 20) {
    write_wrapped(memory, {.interactive = true, .width = width, .color = false, .utf8 = false},
                  fmt::format("  {:<{}}", name, indent - 2), indent, what);
  } else {
    memory.write(fmt::format("{}\n  ", name));
    write_wrapped(memory, {.interactive = true, .width = width, .color = false, .utf8 = false}, "",
                  2, what);
  }
  memory.flush();
  for (Line& line : lines_of_styled(text)) {
    lines.push_back(std::move(line));
  }
}

}  // namespace

std::vector<Line> help_lines(Tab tab, size_t width) {
  std::vector<Line> lines;
  const auto title = [&](std::string_view text) {
    if (!lines.empty()) {
      lines.emplace_back();
    }
    lines.emplace_back().add(text, Style::bold);
  };
  title("KEYS");
  for (const KeyHelp& each : keys) {
    add(lines, each.keys, each.what, width);
  }
  title(fmt::format("COLUMNS OF {}", column_heading(tab_name(tab))));
  for (const RowColumn& each : columns_of(tab)) {
    add(lines, column_heading(each.name), each.help, width);
  }
  lines.emplace_back();
  add(lines, "-", "not known, or not measured", width);
  title("ipcscope-top(1) tells more.");
  return lines;
}

}  // namespace ipcscope
