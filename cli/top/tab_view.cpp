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

/// Makes the first count rows the right ones, in order. Of a hundred thousand rows few are shown.
void TabView::order(const Rows& rows, size_t count) {
  count = std::min(count, order_.size());
  if (count <= sorted_) {
    return;
  }
  std::partial_sort(order_.begin() + static_cast<std::ptrdiff_t>(sorted_),
                    order_.begin() + static_cast<std::ptrdiff_t>(count), order_.end(),
                    [&](uint32_t a, uint32_t b) { return precedes(rows, a, b); });
  sorted_ = count;
}

void TabView::arrange(Rows& rows, const RowFilter& filter, size_t height) {
  order_.clear();
  sorted_ = 0;
  for (uint32_t i = 0; i < rows.size(); i++) {
    if (filter.empty() || filter.passes(rows, i)) {
      order_.push_back(i);
    }
  }
  find_selected(rows);
  show_selected(height);
  order(rows, first_ + height);
  if (!selected_.empty() && position_ < order_.size()) {
    selected_ = rows.identity(order_[position_]);
  }
}

void TabView::find_selected(const Rows& rows) {
  const size_t last = order_.empty() ? 0 : order_.size() - 1;
  if (selected_.empty()) {
    position_ = 0;
    return;
  }
  const auto found = std::find_if(order_.begin(), order_.end(),
                                  [&](uint32_t row) { return rows.identity(row) == selected_; });
  if (found == order_.end()) {
    position_ = std::min(position_, last);
    return;
  }
  // Its position is the number of rows before it. The screen moves with it.
  const uint32_t row = *found;
  const size_t above = position_ - std::min(first_, position_);
  position_ = static_cast<size_t>(std::count_if(order_.begin(), order_.end(), [&](uint32_t other) {
    return other != row && precedes(rows, other, row);
  }));
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
  const size_t most = order_.size() > height ? order_.size() - height : 0;
  first_ = std::min(first_, most);
}

void TabView::select(Rows& rows, size_t position) {
  if (order_.empty()) {
    return;
  }
  position_ = std::min(position, order_.size() - 1);
  order(rows, position_ + 1);
  selected_ = rows.identity(order_[position_]);
}

void TabView::home() {
  selected_.clear();
  position_ = 0;
  first_ = 0;
}

void TabView::sort_all(const Rows& rows) { order(rows, order_.size()); }

}  // namespace ipcscope
