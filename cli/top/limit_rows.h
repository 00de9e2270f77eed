// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <memory>

#include "cli/top/frame.h"
#include "cli/top/rows.h"

namespace ipcscope {

std::span<const RowColumn> limit_columns();
/// A row for each limit of the frame.
std::unique_ptr<Rows> make_limit_rows(const TopFrame& frame, EscapeStyle style);

/// "SHMMNI ipc": what tells a limit from others.
std::string limit_identity(const LimitUse& use);

}  // namespace ipcscope
