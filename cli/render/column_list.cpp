// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/render/column_list.h"

#include <fmt/format.h>

#include "cli/render/escape.h"
#include "cli/render/table.h"
#include "cli/suggest.h"

namespace ipcscope {

std::string column_heading(std::string_view name) {
  std::string upper(name);
  std::transform(upper.begin(), upper.end(), upper.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  return upper;
}

Failure unknown_column(std::string_view word, const std::vector<std::string_view>& names) {
  return word.empty() ? failure("a column name is missing after -o")
                      : failure(fmt::format("unknown column '{}'{}", escaped(word, {}),
                                            suggestion(word, names)));
}

void write_column_help(Output& out, const Terminal& terminal, const std::vector<ColumnHelp>& all) {
  Table table({{.heading = "COLUMN"}, {.heading = "DESCRIPTION", .flexible = true}},
              Table::Form::aligned, false);
  for (const ColumnHelp& column : all) {
    table.cell(column.name);
    table.cell(column.help);
  }
  table.print(out, terminal);
}

}  // namespace ipcscope
