// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/top/terminal_guard.h"

#define NCURSES_NOMACROS
#include <curses.h>
#include <signal.h>
#include <term.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <string>

namespace ipcscope {

namespace {

constexpr std::array<int, 6> crashes = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS};

// What a signal handler reads: plain memory that is there before it is set.
struct Saved {
  termios settings;
  bool has_settings;
  std::array<char, 256> codes;
  size_t codes_size;
  std::array<struct sigaction, crashes.size()> before;
};
Saved saved;

void restore(int signal) {
  // Both calls are safe in a handler (signal-safety(7)).
  (void)!::write(STDOUT_FILENO, saved.codes.data(), saved.codes_size);
  if (saved.has_settings) {
    ::tcsetattr(STDIN_FILENO, TCSANOW, &saved.settings);
  }
  for (size_t i = 0; i < crashes.size(); i++) {
    if (crashes[i] == signal) {
      ::sigaction(signal, &saved.before[i], nullptr);
    }
  }
  ::raise(signal);  // arrives when this returns
}

int append(int each) {
  if (saved.codes_size < saved.codes.size()) {
    saved.codes[saved.codes_size++] = static_cast<char>(each);
  }
  return each;
}

/// The code of a capability; null where the terminal does not have it.
const char* code_of(const char* name) {
  const char* code = ::tigetstr(name);
  return code != reinterpret_cast<const char*>(-1) ? code : nullptr;
}

}  // namespace

TerminalGuard::TerminalGuard() {
  saved = {};
  saved.has_settings = ::tcgetattr(STDIN_FILENO, &saved.settings) == 0;
}

void TerminalGuard::arm() {
  // No mouse, plain text, the cursor, the first screen, keys as before.
  for (const char* name : {"sgr0", "op", "cnorm", "rmkx", "rmcup"}) {
    if (const char* code = code_of(name)) {
      ::tputs(code, 1, append);
    }
  }
  // Terminals without a mouse do not know these; those with one need them.
  if (code_of("kmous") != nullptr) {
    for (const char each : std::string("\033[?1000l\033[?1002l\033[?1003l\033[?1006l")) {
      append(each);
    }
  }
  struct sigaction action {};
  action.sa_handler = restore;
  for (size_t i = 0; i < crashes.size(); i++) {
    ::sigaction(crashes[i], &action, &saved.before[i]);
  }
}

TerminalGuard::~TerminalGuard() {
  for (size_t i = 0; i < crashes.size(); i++) {
    if (saved.codes_size != 0) {
      ::sigaction(crashes[i], &saved.before[i], nullptr);
    }
  }
}

bool can_move_cursor() { return code_of("cup") != nullptr; }

}  // namespace ipcscope
