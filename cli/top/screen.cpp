// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/top/screen.h"

// Functions, not macros that take their names from everybody.
#define NCURSES_NOMACROS
#include <curses.h>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <optional>

#include "cli/render/escape.h"
#include "cli/top/terminal_guard.h"

namespace ipcscope {

namespace {

enum Pair : short { pair_none = 0, pair_warning, pair_alarm, pair_bar, pair_dim };

constexpr int many_colors = 256;
constexpr short grey = 245;  // of 256, readable on black and on white

chtype bold_or(bool color, Pair pair, chtype without) {
  return color ? static_cast<chtype>(COLOR_PAIR(pair)) : without;
}

}  // namespace

class Screen::State {
 public:
  TerminalGuard guard;
  SCREEN* terminal = nullptr;
  bool color = false;

  void set_up();
  void leave();
  void draw_line(int row, const Line& line);
  [[nodiscard]] chtype attributes(const Span& span, LineStyle line) const;
  std::optional<Click> read_mouse();
};

void Screen::State::set_up() {
  ::cbreak();
  ::noecho();
  ::nonl();  // Enter is not the same as ^J
  ::keypad(stdscr, TRUE);
  ::meta(stdscr, TRUE);
  ::nodelay(stdscr, TRUE);
  ::intrflush(stdscr, FALSE);
  ::set_escdelay(25);
  ::curs_set(0);
  ::mousemask(BUTTON1_PRESSED | BUTTON1_CLICKED | BUTTON1_DOUBLE_CLICKED | BUTTON4_PRESSED |
                  BUTTON5_PRESSED,
              nullptr);
  ::mouseinterval(200);
  ::def_prog_mode();  // what reset_prog_mode() goes back to
  if (!color || !::has_colors() || ::start_color() == ERR) {
    color = false;
    return;
  }
  const bool own_background = ::use_default_colors() == OK;
  const short background = own_background ? -1 : COLOR_BLACK;
  ::init_pair(pair_warning, COLOR_YELLOW, background);
  ::init_pair(pair_alarm, COLOR_RED, background);
  ::init_pair(pair_bar, COLOR_BLACK, COLOR_CYAN);
  ::init_pair(pair_dim,
              COLORS >= many_colors ? grey
              : own_background      ? -1
                                    : COLOR_WHITE,
              background);
}

/// A terminal with one screen only keeps what is on it, but for the line of the shell.
void Screen::State::leave() {
  ::move(LINES - 1, 0);
  ::clrtoeol();
  ::refresh();
  ::endwin();
}

chtype Screen::State::attributes(const Span& span, LineStyle line) const {
  const bool bar = (line == LineStyle::bar) != span.reverse;
  if (line == LineStyle::selected) {
    // Its colours would not be readable.
    return A_REVERSE | (span.style == Style::alarm || span.style == Style::bold ? A_BOLD : 0U);
  }
  if (bar) {
    return bold_or(color, pair_bar, A_REVERSE) | (span.style == Style::bold ? A_BOLD : 0U);
  }
  switch (span.style) {
    case Style::plain:
      return A_NORMAL;
    case Style::heading:
    case Style::bold:
      return A_BOLD;
    case Style::dim:
      return color && COLORS >= many_colors ? static_cast<chtype>(COLOR_PAIR(pair_dim)) : A_DIM;
    case Style::warning:
      return bold_or(color, pair_warning, A_BOLD);
    case Style::alarm:
      return bold_or(color, pair_alarm, A_NORMAL) | A_BOLD;
  }
  return A_NORMAL;
}

void Screen::State::draw_line(int row, const Line& line) {
  ::move(row, 0);
  ::attrset(A_NORMAL);
  for (const Span& span : line.spans) {
    ::attrset(static_cast<int>(attributes(span, line.style)));
    ::addnstr(span.text.data(), static_cast<int>(span.text.size()));
  }
  if (line.style != LineStyle::plain) {
    // To the edge.
    ::attrset(static_cast<int>(attributes({}, line.style)));
    for (size_t at = line.width(); at < static_cast<size_t>(COLS); at++) {
      ::addch(' ');
    }
  }
  ::attrset(A_NORMAL);
}

std::optional<Click> Screen::State::read_mouse() {
  MEVENT event;
  if (::getmouse(&event) != OK) {
    return std::nullopt;
  }
  Click click;
  click.row = static_cast<size_t>(event.y);
  click.column = static_cast<size_t>(event.x);
  if ((event.bstate & BUTTON4_PRESSED) != 0) {
    click.kind = Click::wheel_up;
  } else if ((event.bstate & BUTTON5_PRESSED) != 0) {
    click.kind = Click::wheel_down;
  } else if ((event.bstate & BUTTON1_DOUBLE_CLICKED) != 0) {
    click.kind = Click::open;
  }
  return click;
}

Result<std::unique_ptr<Screen>> Screen::open(bool color) {
  auto state = std::make_unique<State>();
  state->color = color;
  state->terminal = ::newterm(nullptr, stdout, stdin);
  if (state->terminal == nullptr) {
    const char* type = ::getenv("TERM");
    return failure(fmt::format("terminals of type '{}' are not known here",
                               type != nullptr ? escaped(type, {}) : ""));
  }
  ::set_term(state->terminal);
  if (!can_move_cursor()) {
    ::endwin();
    ::delscreen(state->terminal);
    return failure("this terminal cannot move its cursor");
  }
  state->guard.arm();
  state->set_up();
  return std::unique_ptr<Screen>(new Screen(std::move(state)));
}

Screen::Screen(std::unique_ptr<State> state) : state_(std::move(state)) {}

Screen::~Screen() {
  state_->leave();
  ::delscreen(state_->terminal);
}

void Screen::draw(const Page& page) {
  ::erase();
  for (size_t i = 0; i < page.lines.size() && i < static_cast<size_t>(LINES); i++) {
    state_->draw_line(static_cast<int>(i), page.lines[i]);
  }
  if (page.cursor_row && page.cursor_column) {
    ::move(static_cast<int>(*page.cursor_row), static_cast<int>(*page.cursor_column));
    ::curs_set(1);
  } else {
    ::curs_set(0);
  }
  ::refresh();
}

void Screen::forget() { ::clearok(curscr, TRUE); }

Screen::Input Screen::read() {
  wint_t value = 0;
  const int kind = ::get_wch(&value);
  Input input;
  if (kind == ERR) {
    return input;
  }
  input.kind = Input::key;
  Key& key = input.pressed;
  if (kind != KEY_CODE_YES) {
    constexpr wint_t escape = 27;
    switch (value) {
      case '\r':
      case '\n':
        key.name = Key::enter;
        break;
      case '\t':
        key.name = Key::tab;
        break;
      case escape:
        key.name = Key::escape;
        break;
      case '\b':
      case 0x7f:
        key.name = Key::backspace;
        break;
      default:
        key = {Key::character, static_cast<char32_t>(value)};
    }
    return input;
  }
  switch (value) {
    case KEY_UP:
      key.name = Key::up;
      break;
    case KEY_DOWN:
      key.name = Key::down;
      break;
    case KEY_LEFT:
      key.name = Key::left;
      break;
    case KEY_RIGHT:
      key.name = Key::right;
      break;
    case KEY_PPAGE:
      key.name = Key::page_up;
      break;
    case KEY_NPAGE:
      key.name = Key::page_down;
      break;
    case KEY_HOME:
      key.name = Key::home;
      break;
    case KEY_END:
      key.name = Key::end;
      break;
    case KEY_ENTER:
      key.name = Key::enter;
      break;
    case KEY_BACKSPACE:
    case KEY_DC:
      key.name = Key::backspace;
      break;
    case KEY_BTAB:
      key.name = Key::back_tab;
      break;
    case KEY_RESIZE:
      key.name = Key::redraw;
      break;
    // As in htop.
    case KEY_F(1):
      key = {Key::character, '?'};
      break;
    case KEY_F(3):
      key = {Key::character, '/'};
      break;
    case KEY_F(4):
      key = {Key::character, '\\'};
      break;
    case KEY_F(6):
      key = {Key::character, 's'};
      break;
    case KEY_F(10):
      key = {Key::character, 'q'};
      break;
    case KEY_MOUSE:
      if (const std::optional<Click> click = state_->read_mouse()) {
        input.kind = Input::click;
        input.clicked = *click;
        break;
      }
      [[fallthrough]];
    default:
      key = {Key::character, 0};  // a key that means nothing here
  }
  return input;
}

Screen::Size Screen::measure() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0 &&
      (size.ws_row != LINES || size.ws_col != COLS)) {
    ::resizeterm(size.ws_row, size.ws_col);
  }
  return {static_cast<size_t>(COLS), static_cast<size_t>(LINES)};
}

void Screen::leave_for(const std::function<void()>& body) {
  state_->leave();
  body();
  ::reset_prog_mode();
  forget();
  ::refresh();
}

}  // namespace ipcscope
