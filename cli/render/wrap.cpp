// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/render/wrap.h"

#include <algorithm>

#include "cli/render/escape.h"

namespace ipcscope {

void write_wrapped(Output& out, const Terminal& terminal, std::string_view lead, size_t indent,
                   std::string_view text) {
  constexpr size_t least = 10;  // a column narrower than this is worse than a long line
  out.write(lead);
  const size_t room =
      terminal.width > indent + least ? terminal.width - indent : std::max(terminal.width, least);
  while (terminal.width != 0 && display_width(text) > room) {
    const std::string_view front = fitting_front(text, room);
    const size_t blank = text[front.size()] == ' ' ? front.size() : front.rfind(' ');
    const size_t end = blank == std::string_view::npos || blank == 0 ? front.size() : blank;
    if (end == 0) {
      break;
    }
    out.write(text.substr(0, end));
    out.put('\n');
    text.remove_prefix(end);
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    out.repeat(' ', terminal.width > indent + least ? indent : 0);
  }
  out.write(text);
  out.put('\n');
}

}  // namespace ipcscope
