// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "collectors/model/snapshot.h"

namespace ipcscope {

/// Whether text has word in it, in capitals or not. A word of digits only is a number: not a part
/// of a longer one.
bool has_word(std::string_view text, std::string_view word);

class Rows;

/// Which rows are shown. Words, each of which has to match: the name of a kind, the number of a
/// process, or a part of what a row says; with a '!' before it, must not. Between commas: any.
class RowFilter {
 public:
  RowFilter() = default;
  /// pids: only rows about one of these; empty: any.
  explicit RowFilter(std::string_view text, std::vector<int32_t> pids = {});

  [[nodiscard]] bool empty() const { return words_.empty() && pids_.empty(); }
  [[nodiscard]] const std::vector<int32_t>& pids() const { return pids_; }
  [[nodiscard]] bool passes(Rows& rows, size_t row) const;
  bool operator==(const RowFilter&) const = default;

 private:
  struct Choice {
    std::string text;
    std::optional<Kind> kind;
    bool operator==(const Choice&) const = default;
  };
  struct Word {
    std::vector<Choice> choices;
    bool inverted = false;
    bool operator==(const Word&) const = default;
  };
  std::vector<Word> words_;
  std::vector<int32_t> pids_;
};

}  // namespace ipcscope
