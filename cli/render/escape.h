// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <string_view>

namespace ipcscope {

struct EscapeStyle {
  bool utf8 = false;    ///< printable characters beyond ASCII stay as they are
  bool blanks = false;  ///< spaces are escaped too, for output that is separated by them
};

/// Appends raw bytes in a form that no terminal acts on: \n \t \r \\, \xNN for other control bytes
/// and for what is not UTF-8, \u{...} for characters that do not print, that reorder text, or that
/// the style does not allow. Unambiguous: a backslash is always doubled.
void append_escaped(std::string& out, std::string_view raw, EscapeStyle style);
std::string escaped(std::string_view raw, EscapeStyle style);

/// Terminal cells that an escaped text takes.
size_t display_width(std::string_view text);
/// The longest front of text that takes no more than width cells.
std::string_view fitting_front(std::string_view text, size_t width);
/// The longest end of text that takes no more than width cells.
std::string_view fitting_back(std::string_view text, size_t width);
/// Where text takes more than width cells, a part of it with a mark for what is left out.
std::string shortened(std::string_view text, size_t width, bool in_the_middle, bool utf8);

}  // namespace ipcscope
