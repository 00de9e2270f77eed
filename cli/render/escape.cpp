// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/render/escape.h"

#include <fmt/format.h>
#include <wchar.h>

#include <algorithm>
#include <iterator>

#include "cli/render/utf8.h"

namespace ipcscope {

namespace {

bool is_plain(unsigned char byte, EscapeStyle style) {
  return byte > ' ' ? byte < 0x7f && byte != '\\' : byte == ' ' && !style.blanks;
}

void append_control(std::string& out, unsigned char byte) {
  switch (byte) {
    case '\n':
      out += "\\n";
      break;
    case '\t':
      out += "\\t";
      break;
    case '\r':
      out += "\\r";
      break;
    case '\\':
      out += "\\\\";
      break;
    default:
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", byte);
  }
}

int cells(char32_t value) { return std::max(0, ::wcwidth(static_cast<wchar_t>(value))); }

}  // namespace

void append_escaped(std::string& out, std::string_view raw, EscapeStyle style) {
  while (!raw.empty()) {
    size_t plain = 0;
    while (plain < raw.size() && is_plain(static_cast<unsigned char>(raw[plain]), style)) {
      plain++;
    }
    out.append(raw.substr(0, plain));
    raw.remove_prefix(plain);
    if (raw.empty()) {
      return;
    }
    const CodePoint point = first_code_point(raw);
    if (point.valid && point.value < 0x80) {
      append_control(out, static_cast<unsigned char>(point.value));
    } else if (!point.valid) {
      for (const char each : raw.substr(0, point.size)) {
        fmt::format_to(std::back_inserter(out), "\\x{:02x}", static_cast<unsigned char>(each));
      }
    } else if (style.utf8 && !is_deceptive(point.value) &&
               ::wcwidth(static_cast<wchar_t>(point.value)) >= 0) {
      out.append(raw.substr(0, point.size));
    } else {
      fmt::format_to(std::back_inserter(out), "\\u{{{:x}}}", static_cast<uint32_t>(point.value));
    }
    raw.remove_prefix(point.size);
  }
}

std::string escaped(std::string_view raw, EscapeStyle style) {
  std::string out;
  append_escaped(out, raw, style);
  return out;
}

size_t display_width(std::string_view text) {
  size_t width = 0;
  while (!text.empty()) {
    const CodePoint point = first_code_point(text);
    width += point.value < 0x80 ? 1 : static_cast<size_t>(cells(point.value));
    text.remove_prefix(point.size);
  }
  return width;
}

std::string_view fitting_front(std::string_view text, size_t width) {
  size_t used = 0;
  size_t end = 0;
  while (end < text.size()) {
    const CodePoint point = first_code_point(text.substr(end));
    used += point.value < 0x80 ? 1 : static_cast<size_t>(cells(point.value));
    if (used > width) {
      break;
    }
    end += point.size;
  }
  return text.substr(0, end);
}

std::string_view fitting_back(std::string_view text, size_t width) {
  size_t all = display_width(text);
  while (all > width) {
    const CodePoint point = first_code_point(text);
    all -= point.value < 0x80 ? 1 : static_cast<size_t>(cells(point.value));
    text.remove_prefix(point.size);
  }
  return text;
}

std::string shortened(std::string_view text, size_t width, bool in_the_middle, bool utf8) {
  if (display_width(text) <= width) {
    return std::string(text);
  }
  if (width == 0) {
    return {};
  }
  // One cell in every locale, so that a narrow column still shows something.
  const std::string_view mark = utf8 ? "…" : "~";
  const size_t left = in_the_middle ? width / 2 : width - 1;
  std::string out(fitting_front(text, left));
  out += mark;
  out += fitting_back(text, width - 1 - left);
  return out;
}

}  // namespace ipcscope
