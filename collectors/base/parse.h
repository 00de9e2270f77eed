// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <charconv>
#include <optional>
#include <string_view>

namespace ipcscope {

/// The whole of text as a number, or nothing.
template <typename T>
std::optional<T> parse_number(std::string_view text, int base = 10) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty()) {
    return std::nullopt;
  }
  return value;
}

/// Cuts the next run of non-separator bytes off the front of text; empty at the end.
inline std::string_view next_word(std::string_view& text, std::string_view separators = " \t\n") {
  const size_t begin = text.find_first_not_of(separators);
  if (begin == std::string_view::npos) {
    text = {};
    return {};
  }
  size_t end = text.find_first_of(separators, begin);
  if (end == std::string_view::npos) {
    end = text.size();
  }
  const std::string_view word = text.substr(begin, end - begin);
  text.remove_prefix(end);
  return word;
}

/// Cuts the next line off the front of text, without its newline.
inline std::string_view next_line(std::string_view& text) {
  const size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}

/// The next word as a number, or nothing.
template <typename T>
std::optional<T> next_number(std::string_view& text, int base = 10) {
  return parse_number<T>(next_word(text), base);
}

}  // namespace ipcscope
