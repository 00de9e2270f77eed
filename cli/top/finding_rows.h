// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <memory>

#include "cli/top/frame.h"
#include "cli/top/rows.h"

namespace ipcscope {

std::span<const RowColumn> finding_columns();
/// A row for each finding of the frame.
std::unique_ptr<Rows> make_finding_rows(const TopFrame& frame, EscapeStyle style);

}  // namespace ipcscope
