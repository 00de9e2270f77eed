// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "cli/top/rows.h"

namespace ipcscope {

struct FittedColumn {
  size_t column = 0;  ///< of the table
  size_t begin = 0;   ///< where it begins on the screen
  size_t width = 0;
};

/// The columns that a screen of so many cells has room for, a cell apart. Whole columns go where it
/// is narrow, for a number without its end is worse than none; flexible ones share what is left.
/// It does not look at what is in the columns, so that they stay where they are.
std::vector<FittedColumn> fit_columns(std::span<const RowColumn> columns, size_t width);

/// A cell as wide as its column.
std::string padded(std::string_view text, const RowColumn& column, size_t width, bool utf8);

}  // namespace ipcscope
