// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <vector>

#include "cli/render/columns.h"
#include "cli/render/output.h"
#include "cli/render/terminal.h"
#include "cli/report.h"

namespace ipcscope {

struct ListForm {
  std::vector<Column> columns;
  bool raw = false;
  bool headings = true;
  bool tree = false;  ///< the columns are those behind the tree's own
};

/// A row for each channel.
void write_list(Output& out, const Terminal& terminal, const ListReport& report,
                const ListForm& form);
/// A row for each process, below its parent, and for each channel below each of its processes.
void write_tree(Output& out, const Terminal& terminal, const ListReport& report,
                const ListForm& form);

/// "412 channels: 201 pipe, 150 unix; 14 threads wait"
std::string summary(const ListReport& report);
/// A line for each source that did not see everything: "proc-fd: partial, 3 of 200 unreadable: ..."
std::vector<std::string> coverage_problems(const std::vector<Coverage>& coverage,
                                           EscapeStyle style);

}  // namespace ipcscope
