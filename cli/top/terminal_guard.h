// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

namespace ipcscope {

/// Gives the terminal back when the program crashes. While it is there, SIGSEGV and its like write
/// what the terminal needs to leave its other screen, and then do what they did before.
class TerminalGuard {
 public:
  /// To be made before curses starts: it keeps the settings of the terminal at descriptor 0. After
  /// curses has started, arm() says what is to be written.
  TerminalGuard();
  ~TerminalGuard();
  TerminalGuard(const TerminalGuard&) = delete;
  TerminalGuard& operator=(const TerminalGuard&) = delete;

  void arm();
};

/// Whether the terminal that curses has started with can be drawn on. (Here because term.h, which
/// tells, makes macros of common words.)
bool can_move_cursor();

}  // namespace ipcscope
