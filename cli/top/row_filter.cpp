// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/top/row_filter.h"

#include <algorithm>
#include <utility>

#include "cli/top/rows.h"
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
    const bool longer =
        (from != text.begin() && is_digit(from[-1])) || (behind != text.end() && is_digit(*behind));
    if (!number || !longer) {
      return true;
    }
  }
}

RowFilter::RowFilter(std::string_view text, std::vector<int32_t> pids) : pids_(std::move(pids)) {
  while (true) {
    std::string_view word = next_word(text);
    if (word.empty()) {
      return;
    }
    Word made;
    made.inverted = word.starts_with('!') && word.size() > 1;
    word.remove_prefix(made.inverted ? 1 : 0);
    for (std::string_view choice = next_word(word, ","); !choice.empty();
         choice = next_word(word, ",")) {
      made.choices.push_back({std::string(choice), kind_from_name(choice)});
    }
    if (!made.choices.empty()) {
      words_.push_back(std::move(made));
    }
  }
}

bool RowFilter::passes(Rows& rows, size_t row) const {
  if (!pids_.empty()) {
    const std::vector<int32_t> of = rows.pids(row);
    if (std::find_first_of(of.begin(), of.end(), pids_.begin(), pids_.end()) == of.end()) {
      return false;
    }
  }
  if (words_.empty()) {
    return true;
  }
  const std::optional<Kind> kind = rows.kind(row);
  const std::string text = rows.text(row);
  return std::all_of(words_.begin(), words_.end(), [&](const Word& word) {
    return word.inverted !=
           std::any_of(word.choices.begin(), word.choices.end(), [&](const Choice& choice) {
             return choice.kind && kind ? *choice.kind == *kind : has_word(text, choice.text);
           });
  });
}

}  // namespace ipcscope
