// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstddef>

#include "cli/render/output.h"
#include "cli/render/terminal.h"
#include "cli/top/frame.h"
#include "cli/top/row_filter.h"

namespace ipcscope {

/// How a frame is to be written.
struct TopForm {
  Tab tab = Tab::channels;
  size_t sort = 0;  ///< column
  bool reverse = false;
  RowFilter filter;
  size_t most = 0;         ///< rows; 0: all
  bool every_tab = false;  ///< JSON: all arrays
};

/// The header and a tab's rows, as the screen has them, without codes for a terminal.
void write_top_frame(Output& out, const Terminal& terminal, const TopFrame& frame,
                     const TopForm& form);
/// One line of JSON. Arrays of tabs that were not asked for are null.
void write_top_json(Output& out, const TopFrame& frame, const TopForm& form);

}  // namespace ipcscope
