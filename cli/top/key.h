// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>

namespace ipcscope {

/// A key that was pressed, whatever terminal it came from.
struct Key {
  enum Name : uint8_t {
    character,
    up,
    down,
    left,
    right,
    page_up,
    page_down,
    home,
    end,
    enter,
    escape,
    backspace,
    tab,
    back_tab,
    redraw,
  };
  Name name = character;
  char32_t value = 0;  ///< of a character
};

/// What the mouse did, where the upper left cell is 0, 0.
struct Click {
  enum Kind : uint8_t { press, open, wheel_up, wheel_down };  ///< open: pressed twice
  Kind kind = press;
  size_t row = 0;
  size_t column = 0;
};

}  // namespace ipcscope
