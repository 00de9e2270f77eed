// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>

#include "cli/render/terminal.h"
#include "cli/top/key.h"
#include "cli/top/page.h"
#include "collectors/base/result.h"

namespace ipcscope {

/// The terminal, through curses. It draws pages and reads keys, and knows nothing else.
class Screen {
 public:
  struct Size {
    size_t width = 0, height = 0;
  };
  /// What was read: a key, a click, or that the size has changed.
  struct Input {
    enum Kind : uint8_t { none, key, click, gone };
    Kind kind = none;
    Key pressed;
    Click clicked;
  };

  /// Takes over the terminal at descriptors 0 and 1. Fails where it is of an unknown type.
  static Result<std::unique_ptr<Screen>> open(bool color);
  /// Gives it back as it was.
  ~Screen();
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  void draw(const Page& page);
  /// What is on the terminal may be anything: the next draw() writes all of it.
  void forget();
  /// The next input that has arrived; it does not wait. gone: nobody types any more.
  Input read();
  /// Asks the terminal for its size.
  Size measure();
  /// Gives the terminal back for as long as body runs.
  void leave_for(const std::function<void()>& body);

 private:
  class State;
  explicit Screen(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace ipcscope
