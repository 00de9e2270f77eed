// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/render/terminal.h"

#include <langinfo.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <string_view>

#include "collectors/base/parse.h"

namespace ipcscope {

namespace {

std::string_view variable(const char* name) {
  const char* value = ::getenv(name);
  return value != nullptr ? value : "";
}

size_t terminal_width() {
  if (const auto columns = parse_number<unsigned>(variable("COLUMNS")); columns && *columns > 0) {
    return *columns;
  }
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    return size.ws_col;
  }
  return 80;
}

}  // namespace

Terminal detect_terminal(ColorChoice choice) {
  Terminal terminal;
  terminal.interactive = ::isatty(STDOUT_FILENO) == 1;
  terminal.width = terminal.interactive ? terminal_width() : 0;
  terminal.color =
      choice == ColorChoice::always || (choice == ColorChoice::automatic && terminal.interactive &&
                                        variable("NO_COLOR").empty() && variable("TERM") != "dumb");
  terminal.utf8 = std::string_view(::nl_langinfo(CODESET)) == "UTF-8";
  return terminal;
}

}  // namespace ipcscope
