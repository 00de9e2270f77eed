// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/top/tab_view.h"

#include <algorithm>

namespace ipcscope {

/// A strict order of all rows: where a column says nothing, the first column decides, then the
/// order that they are in.
bool TabView::precedes(const Rows& rows, uint32_t a, uint32_t b) const {
  int by = rows.compare(a, b, sort);
  by = reverse ? -by : by;
  if (by == 0 && sort != 0) {
    by = rows.compare(a, b, 0);
  }
  return by != 0 ? by < 0 : a < b;
}

/// Makes the first count rows the right ones, in order.
void TabView::sort_some(const Rows& rows, Sorted& some, size_t count) const {
  count = std::min(count, some.rows.size());
  if (count <= some.count) {
    return;
  }
  // A little more than was asked for, or a list of which more and more is looked at would be
  // searched through for each row.
  count = std::min(std::max(count, 2 * some.count), some.rows.size());
  const auto at = [&](size_t position) {
    return some.rows.begin() + static_cast<std::ptrdiff_t>(position);
  };
  std::partial_sort(at(some.count), at(count), some.rows.end(),
                    [&](uint32_t a, uint32_t b) { return precedes(rows, a, b); });
  some.count = count;
}

/// The rows that pass, in two lists: those that stay the same from frame to frame, and the others.
void TabView::choose(Rows& rows, const RowFilter& filter) {
  Rows* settled = rows.settled();
  const uint64_t key = settled != nullptr ? rows.settled_key() : 0;
  if (key == 0 || key != settled_key_ || settled_sort_ != sort || settled_reverse_ != reverse ||
      !(settled_filter_ == filter)) {
    settled_ = {};
    settled_pass_.assign(settled != nullptr ? settled->size() : 0, false);
    for (uint32_t i = 0; i < settled_pass_.size(); i++) {
      if (filter.empty() || filter.passes(*settled, i)) {
        settled_.rows.push_back(i);
        settled_pass_[i] = true;
      }
    }
    settled_key_ = key;
    settled_sort_ = sort;
    settled_reverse_ = reverse;
    settled_filter_ = filter;
  }
  changing_ = {};
  changing_marks_.assign(settled_pass_.size(), false);
  replaced_ = 0;
  for (const uint32_t row : rows.changing()) {
    if (row < changing_marks_.size()) {
      changing_marks_[row] = true;
      replaced_ += settled_pass_[row] ? 1 : 0;
    }
    if (filter.empty() || filter.passes(rows, row)) {
      changing_.rows.push_back(row);
    }
  }
  size_ = settled_.rows.size() - replaced_ + changing_.rows.size();
}

void TabView::order(Rows& rows, size_t count) {
  count = std::min(count, size_);
  if (order_.size() >= count) {
    return;
  }
  if (Rows* settled = rows.settled()) {
    sort_some(*settled, settled_, count + replaced_);
  }
  sort_some(rows, changing_, count);
  order_.clear();
  size_t a = 0, b = 0;
  while (order_.size() < count) {
    while (a < settled_.rows.size() && is_changing(settled_.rows[a])) {
      a++;
    }
    const bool take_settled =
        a < settled_.rows.size() &&
        (b == changing_.rows.size() || precedes(rows, settled_.rows[a], changing_.rows[b]));
    order_.push_back(take_settled ? settled_.rows[a++] : changing_.rows[b++]);
  }
}

void TabView::arrange(Rows& rows, const RowFilter& filter, size_t height) {
  order_.clear();
  choose(rows, filter);
  find_selected(rows);
  show_selected(height);
  order(rows, std::max(first_ + height, position_ + 1));
  if (!selected_.empty() && position_ < order_.size()) {
    selected_ = rows.identity(order_[position_]);
  }
}

/// How many rows come before it; size() when it does not pass.
size_t TabView::position_of(const Rows& rows, uint32_t row) const {
  const bool passes =
      row < settled_pass_.size() && !is_changing(row)
          ? settled_pass_[row]
          : std::find(changing_.rows.begin(), changing_.rows.end(), row) != changing_.rows.end();
  if (!passes) {
    return size_;
  }
  const auto before = [&](uint32_t other) { return other != row && precedes(rows, other, row); };
  return static_cast<size_t>(
      std::count_if(settled_.rows.begin(), settled_.rows.end(),
                    [&](uint32_t other) { return !is_changing(other) && before(other); }) +
      std::count_if(changing_.rows.begin(), changing_.rows.end(), before));
}

void TabView::find_selected(const Rows& rows) {
  if (selected_.empty()) {
    position_ = 0;
    return;
  }
  const uint32_t row = rows.find(selected_);
  const size_t position = row != no_index ? position_of(rows, row) : size_;
  if (position == size_) {
    position_ = std::min(position_, size_ == 0 ? 0 : size_ - 1);
    return;
  }
  // The screen moves with it.
  const size_t above = position_ - std::min(first_, position_);
  position_ = position;
  first_ = position_ - std::min(above, position_);
}

void TabView::show_selected(size_t height) {
  height = std::max<size_t>(height, 1);
  if (position_ < first_) {
    first_ = position_;
  } else if (position_ >= first_ + height) {
    first_ = position_ - height + 1;
  }
  // No empty lines below the last row while there are rows above.
  const size_t most = size_ > height ? size_ - height : 0;
  first_ = std::min(first_, most);
}

void TabView::select(Rows& rows, size_t position) {
  if (size_ == 0) {
    return;
  }
  position_ = std::min(position, size_ - 1);
  order(rows, position_ + 1);
  selected_ = rows.identity(order_[position_]);
}

void TabView::home() {
  selected_.clear();
  position_ = 0;
  first_ = 0;
}

}  // namespace ipcscope
