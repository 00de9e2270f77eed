// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "cli/render/column_list.h"
#include "cli/render/table.h"
#include "cli/render/text.h"
#include "cli/render/top.h"
#include "cli/top/column_fit.h"
#include "cli/top/header.h"
#include "cli/top/tab_view.h"

namespace ipcscope {

namespace {

void write_line(Output& out, const Line& line) {
  out.write(line.text());
  out.put('\n');
}

}  // namespace

void write_top_frame(Output& out, const Terminal& terminal, const TopFrame& frame,
                     const TopForm& form) {
  constexpr size_t header = 4;
  const std::unique_ptr<Rows> rows = make_rows(frame, form.tab, terminal.escape());
  const std::span<const RowColumn> columns = rows->columns();
  TabView view;
  view.sort = form.sort;
  view.reverse = form.reverse;
  view.arrange(*rows, form.filter, 1);
  const size_t count = form.most == 0 ? view.size() : std::min(form.most, view.size());
  if (count < view.size()) {
    view.arrange(*rows, form.filter, count);
  } else {
    view.sort_all(*rows);
  }

  out.write(time_text(frame.time_ns));
  out.put('\n');
  for (const Line& line : header_lines(frame, header, terminal.width, terminal.utf8)) {
    write_line(out, line);
  }
  out.write(fmt::format("{} {} by {}{}\n", grouped(view.size()), tab_name(form.tab),
                        columns[form.sort].name, form.reverse ? ", reversed" : ""));
  const std::vector<FittedColumn> fitted =
      fit_columns(columns, terminal.width != 0 ? terminal.width : SIZE_MAX);
  std::vector<TableColumn> shown;
  shown.reserve(fitted.size());
  for (const FittedColumn& each : fitted) {
    const RowColumn& column = columns[each.column];
    shown.push_back(
        {column_heading(column.name), column.right, column.flexible, column.cut_inside});
  }
  Table table(std::move(shown), Table::Form::aligned, true);
  for (size_t i = 0; i < count; i++) {
    for (const FittedColumn& each : fitted) {
      const Cell cell = rows->cell(view.row(i), each.column);
      table.cell(cell.text, cell.style);
    }
  }
  table.print(out, terminal);
  if (count < view.size()) {
    out.write(fmt::format("and {} more\n", grouped(view.size() - count)));
  }
}

}  // namespace ipcscope
