// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <algorithm>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "cli/render/output.h"
#include "cli/render/terminal.h"
#include "collectors/base/result.h"

namespace ipcscope {

/// "WHO" of "who", as table headings are written.
std::string column_heading(std::string_view name);
/// What -o says of a word that names no column.
Failure unknown_column(std::string_view word, const std::vector<std::string_view>& names);

struct ColumnHelp {
  std::string_view name;
  std::string_view help;
};
/// What -H prints.
void write_column_help(Output& out, const Terminal& terminal, const std::vector<ColumnHelp>& all);

// The columns of a command, each of which has a name and a help.

/// The column of that name, in capitals or not; null when there is none.
template <typename Column>
const Column* find_column(const std::vector<Column>& all, std::string_view name) {
  const std::string heading = column_heading(name);
  const auto found = std::find_if(all.begin(), all.end(), [&](const Column& each) {
    return column_heading(each.name) == heading;
  });
  return found != all.end() ? &*found : nullptr;
}

/// Those of all with these names, each of which there is.
template <typename Column>
std::vector<Column> named_columns(const std::vector<Column>& all,
                                  std::initializer_list<std::string_view> names) {
  std::vector<Column> columns;
  columns.reserve(names.size());
  for (const std::string_view name : names) {
    columns.push_back(*find_column(all, name));
  }
  return columns;
}

/// The columns of "a,b,c"; with a '+' before it, behind the usual ones.
template <typename Column>
Result<std::vector<Column>> parse_column_list(const std::vector<Column>& all, std::string_view list,
                                              const std::vector<Column>& usual) {
  std::vector<Column> columns;
  if (list.starts_with('+')) {
    columns = usual;
    list.remove_prefix(1);
  }
  while (true) {
    const size_t comma = list.find(',');
    const std::string_view word = list.substr(0, comma);
    const Column* column = find_column(all, word);
    if (column == nullptr) {
      std::vector<std::string_view> names;
      names.reserve(all.size());
      for (const Column& each : all) {
        names.push_back(each.name);
      }
      return unknown_column(word, names);
    }
    columns.push_back(*column);
    if (comma == std::string_view::npos) {
      return columns;
    }
    list.remove_prefix(comma + 1);
  }
}

template <typename Column>
void list_columns(Output& out, const Terminal& terminal, const std::vector<Column>& all) {
  std::vector<ColumnHelp> help;
  help.reserve(all.size());
  for (const Column& each : all) {
    help.push_back({each.name, each.help});
  }
  write_column_help(out, terminal, help);
}

}  // namespace ipcscope
