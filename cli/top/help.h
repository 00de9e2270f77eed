// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <vector>

#include "cli/top/page.h"
#include "cli/top/rows.h"

namespace ipcscope {

/// The keys, then what the columns of a tab mean.
std::vector<Line> help_lines(Tab tab, size_t width);

}  // namespace ipcscope
