// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string_view>

#include "cli/render/output.h"
#include "cli/render/terminal.h"

namespace ipcscope {

/// Writes lead and an escaped text behind it, broken at blanks where the terminal ends, with what
/// follows indented. Without a terminal: one line.
void write_wrapped(Output& out, const Terminal& terminal, std::string_view lead, size_t indent,
                   std::string_view text);

}  // namespace ipcscope
