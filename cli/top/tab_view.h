// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/top/row_filter.h"
#include "cli/top/rows.h"

namespace ipcscope {

/// How one tab is looked at. It outlives its rows: what is selected is known by its identity.
class TabView {
 public:
  size_t sort = 0;  ///< column
  bool reverse = false;

  /// Puts rows in order, as far as height rows from the first that is shown need it, and finds the
  /// selected one again. A selection that was never moved stays on the first row, whichever that
  /// is; one whose row has gone stays where it was.
  void arrange(Rows& rows, const RowFilter& filter, size_t height);

  /// Rows that pass the filter.
  [[nodiscard]] size_t size() const { return size_; }
  [[nodiscard]] size_t first() const { return first_; }  ///< of them, that is shown
  [[nodiscard]] size_t position() const { return position_; }
  /// The row at a position that was put in order.
  [[nodiscard]] uint32_t row(size_t position) const { return order_[position]; }
  [[nodiscard]] const std::string& selected() const { return selected_; }

  /// Selects the row at a position, as near as there is one. It is known by its identity from now
  /// on; the first row after home() is not.
  void select(Rows& rows, size_t position);
  void home();
  /// Scrolls so that the selected row is among height rows.
  void show_selected(size_t height);
  /// Puts all rows in order, for those who look at all.
  void sort_all(Rows& rows) { order(rows, size_); }

 private:
  /// Rows of which the first are in order.
  struct Sorted {
    std::vector<uint32_t> rows;
    size_t count = 0;
  };

  void choose(Rows& rows, const RowFilter& filter);
  void order(Rows& rows, size_t count);
  void sort_some(const Rows& rows, Sorted& some, size_t count) const;
  [[nodiscard]] bool precedes(const Rows& rows, uint32_t a, uint32_t b) const;
  [[nodiscard]] size_t position_of(const Rows& rows, uint32_t row) const;
  void find_selected(const Rows& rows);
  [[nodiscard]] bool is_changing(uint32_t row) const {
    return row < changing_marks_.size() && changing_marks_[row];
  }

  // Kept as long as the settled rows are the same and looked at in the same way.
  Sorted settled_;
  std::vector<bool> settled_pass_;
  uint64_t settled_key_ = 0;
  size_t settled_sort_ = 0;
  bool settled_reverse_ = false;
  RowFilter settled_filter_;

  Sorted changing_;
  std::vector<bool> changing_marks_;  ///< by settled row
  size_t replaced_ = 0;               ///< rows of settled_ that are changing
  size_t size_ = 0;
  std::vector<uint32_t> order_;  ///< the first of both together

  size_t first_ = 0;
  size_t position_ = 0;
  std::string selected_;  ///< identity; empty: whichever row comes first
};

}  // namespace ipcscope
