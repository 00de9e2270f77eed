// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/top/row_filter.h"

#include <algorithm>

#include "collectors/base/parse.h"

namespace ipcscope {

namespace {

char lower(char each) { return each >= 'A' && each <= 'Z' ? static_cast<char>(each + 32) : each; }
bool is_digit(char each) { return each >= '0' && each <= '9'; }

}  // namespace

bool has_word(std::string_view text, std::string_view word) {
  const bool number = !word.empty() && std::all_of(word.begin(), word.end(), is_digit);
  for (auto from = text.begin();; from++) {
    from = std::search(from, text.end(), word.begin(), word.end(),
                       [](char a, char b) { return lower(a) == lower(b); });
    if (from == text.end()) {
      return word.empty();
    }
    const auto behind = from + static_cast<std::ptrdiff_t>(word.size());
    const bool longer = (from != text.begin() && is_digit(from[-1])) ||
                        (behind != text.end() && is_digit(*behind));
    if (!number || !longer) {
      return true;
    }
  }
}

RowFilter::RowFilter(std::string_view text) {
  while (true) {
    std::string_view word = next_word(text);
    if (word.empty()) {
      return;
    }
    const bool inverted = word.starts_with('!') && word.size() > 1;
    word.remove_prefix(inverted ? 1 : 0);
    words_.push_back({std::string(word), inverted, kind_from_name(word)});
  }
}

bool RowFilter::passes(std::optional<Kind> kind, std::string_view text) const {
  return std::all_of(words_.begin(), words_.end(), [&](const Word& word) {
    const bool found = word.kind && kind ? *word.kind == *kind : has_word(text, word.text);
    return found != word.inverted;
  });
}

}  // namespace ipcscope
