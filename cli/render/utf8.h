// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstddef>
#include <string_view>

namespace ipcscope {

/// The first code point of a text, or what stands in its place.
struct CodePoint {
  char32_t value = 0;  ///< meaningless when not valid
  size_t size = 0;     ///< bytes it takes; for an invalid one: bytes to replace together
  bool valid = false;
};

/// Decodes the front of text, which must not be empty. Overlong forms, surrogates and values beyond
/// U+10FFFF are invalid. An invalid sequence takes as many bytes as could have begun a valid one,
/// so that the number of replacement characters is the one of every other decoder (Unicode, 3.9).
inline CodePoint first_code_point(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) {
    return {lead, 1, true};
  }
  size_t length = 0;
  char32_t value = 0;
  unsigned char low = 0x80;
  unsigned char high = 0xbf;
  if (lead >= 0xc2 && lead <= 0xdf) {
    length = 2;
    value = lead & 0x1fU;
  } else if (lead >= 0xe0 && lead <= 0xef) {
    length = 3;
    value = lead & 0x0fU;
    low = lead == 0xe0 ? 0xa0 : low;
    high = lead == 0xed ? 0x9f : high;
  } else if (lead >= 0xf0 && lead <= 0xf4) {
    length = 4;
    value = lead & 0x07U;
    low = lead == 0xf0 ? 0x90 : low;
    high = lead == 0xf4 ? 0x8f : high;
  } else {
    return {0, 1, false};
  }
  for (size_t i = 1; i < length; i++) {
    if (i >= text.size() || byte(i) < low || byte(i) > high) {
      return {0, i, false};
    }
    value = value << 6 | (byte(i) & 0x3fU);
    low = 0x80;
    high = 0xbf;
  }
  return {value, length, true};
}

/// True for what a terminal may act on, or what changes how the text beside it reads: controls, the
/// bidirectional overrides, invisible formatting, line separators, tags.
inline bool is_deceptive(char32_t value) {
  return value < 0x20 || (value >= 0x7f && value <= 0x9f) || value == 0xad || value == 0x34f ||
         value == 0x61c || value == 0x180e || (value >= 0x200b && value <= 0x200f) ||
         (value >= 0x2028 && value <= 0x202e) || (value >= 0x2060 && value <= 0x206f) ||
         value == 0xfeff || (value >= 0xfff9 && value <= 0xfffb) ||
         (value >= 0xe0000 && value <= 0xe0fff);
}

}  // namespace ipcscope
