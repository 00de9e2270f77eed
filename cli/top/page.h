// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/render/table.h"

namespace ipcscope {

/// Text in one style. It has been escaped: display_width() is what it takes.
struct Span {
  std::string text;
  Style style = Style::plain;
  bool reverse = false;
};

/// How a whole line looks, whatever is in it.
enum class LineStyle : uint8_t {
  plain,
  bar,       ///< headings, and the line of keys: to the right edge
  selected,  ///< the row that the keys are about: likewise
};

struct Line {
  std::vector<Span> spans = {};
  LineStyle style = LineStyle::plain;

  void add(std::string_view text, Style of = Style::plain, bool reverse = false);
  /// In cells.
  [[nodiscard]] size_t width() const;
  [[nodiscard]] std::string text() const;
};

/// What the screen is to show: as many lines as it has at most, none wider than it.
struct Page {
  std::vector<Line> lines;
  /// Where the cursor is shown: behind the text that somebody types.
  std::optional<size_t> cursor_row, cursor_column;
};

/// The front of a line that takes no more than width cells.
Line cut(const Line& line, size_t width);

/// Text as renderers write it with colours, as lines of spans. It must have come from them: no
/// other control codes are understood.
std::vector<Line> lines_of_styled(std::string_view text);

}  // namespace ipcscope
