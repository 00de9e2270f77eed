// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <vector>

#include "cli/top/frame.h"
#include "cli/top/page.h"

namespace ipcscope {

/// What is above the table: the host, what is blocked and what was found, how much is moved, and
/// what ipcscope itself takes. count lines: 4, or less where the screen is low, with less in them.
/// width 0: nothing is left out.
std::vector<Line> header_lines(const TopFrame& frame, size_t count, size_t width, bool utf8);

/// "3 critical, 1 warning", "none", or that nobody has looked yet.
std::string findings_text(const TopFrame& frame);
/// "12.3k reads/s 40M/s, 12.1k writes/s 40M/s"; "-" where it is not measured.
std::string moved_text(const TopFrame& frame);

}  // namespace ipcscope
