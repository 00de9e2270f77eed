// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstddef>

#include "cli/render/escape.h"

namespace ipcscope {

enum class ColorChoice : unsigned char { automatic, always, never };

/// What the standard output can show.
struct Terminal {
  bool interactive = false;  ///< somebody looks at it
  size_t width = 0;          ///< in cells; 0: no limit
  bool color = false;
  bool utf8 = false;
  [[nodiscard]] EscapeStyle escape() const { return {.utf8 = utf8, .blanks = false}; }
};

/// Looks at descriptor 1, at the locale that setlocale() chose, and at COLUMNS, NO_COLOR and TERM.
Terminal detect_terminal(ColorChoice choice);

}  // namespace ipcscope
