// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/top/page.h"

#include <algorithm>

#include "cli/render/escape.h"
#include "collectors/base/parse.h"

namespace ipcscope {

namespace {

/// The style that a code of styled() switches on; nothing where it is none of them.
std::optional<Style> style_of(std::string_view code) {
  for (const Style style :
       {Style::heading, Style::bold, Style::dim, Style::warning, Style::alarm}) {
    if (styled("", style, true).starts_with(code)) {
      return style;
    }
  }
  return code == "\033[0m" ? std::optional(Style::plain) : std::nullopt;
}

Line line_of_styled(std::string_view text, Style& style) {
  Line line;
  while (!text.empty()) {
    const size_t escape = text.find('\033');
    line.add(text.substr(0, escape), style);
    if (escape == std::string_view::npos) {
      break;
    }
    text.remove_prefix(escape);
    const size_t end = std::min(text.find('m'), text.size() - 1) + 1;
    style = style_of(text.substr(0, end)).value_or(style);
    text.remove_prefix(end);
  }
  return line;
}

}  // namespace

void Line::add(std::string_view text, Style of, bool reverse) {
  if (text.empty()) {
    return;
  }
  if (!spans.empty() && spans.back().style == of && spans.back().reverse == reverse) {
    spans.back().text += text;
  } else {
    spans.push_back({std::string(text), of, reverse});
  }
}

size_t Line::width() const {
  size_t sum = 0;
  for (const Span& span : spans) {
    sum += display_width(span.text);
  }
  return sum;
}

std::string Line::text() const {
  std::string all;
  for (const Span& span : spans) {
    all += span.text;
  }
  return all;
}

Line cut(const Line& line, size_t width) {
  Line front;
  front.style = line.style;
  for (const Span& span : line.spans) {
    const std::string_view part = fitting_front(span.text, width);
    front.add(part, span.style, span.reverse);
    width -= display_width(part);
    if (part.size() < span.text.size()) {
      break;
    }
  }
  return front;
}

std::vector<Line> lines_of_styled(std::string_view text) {
  std::vector<Line> lines;
  Style style = Style::plain;
  while (!text.empty()) {
    lines.push_back(line_of_styled(next_line(text), style));
  }
  return lines;
}

}  // namespace ipcscope
