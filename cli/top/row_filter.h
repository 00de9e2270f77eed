// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "collectors/model/snapshot.h"

namespace ipcscope {

/// Whether text has word in it, in capitals or not. A word of digits only is a number: not a part of
/// a longer one.
bool has_word(std::string_view text, std::string_view word);

/// Which rows are shown. Words, each of which has to match: the name of a kind, the number of a
/// process, or a part of what a row says; with a '!' before it, must not.
class RowFilter {
 public:
  RowFilter() = default;
  explicit RowFilter(std::string_view text);

  [[nodiscard]] bool empty() const { return words_.empty(); }
  /// kind: of the row, nothing where it has none. text: escaped.
  [[nodiscard]] bool passes(std::optional<Kind> kind, std::string_view text) const;

 private:
  struct Word {
    std::string text;
    bool inverted = false;
    std::optional<Kind> kind;
  };
  std::vector<Word> words_;
};

}  // namespace ipcscope
