// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/top/column_fit.h"

#include <algorithm>

#include "cli/render/escape.h"

namespace ipcscope {

namespace {

constexpr size_t gap = 1;

size_t total(const std::vector<FittedColumn>& fitted) {
  size_t sum = fitted.empty() ? 0 : (fitted.size() - 1) * gap;
  for (const FittedColumn& each : fitted) {
    sum += each.width;
  }
  return sum;
}

}  // namespace

std::vector<FittedColumn> fit_columns(std::span<const RowColumn> columns, size_t width) {
  std::vector<FittedColumn> fitted;
  size_t flexible = 0;
  for (size_t i = 0; i < columns.size(); i++) {
    fitted.push_back({i, 0, columns[i].width});
  }
  while (total(fitted) > width) {
    const auto dearest = std::max_element(fitted.begin(), fitted.end(),
                                          [&](const FittedColumn& a, const FittedColumn& b) {
                                            return columns[a.column].drop < columns[b.column].drop;
                                          });
    const unsigned drop = columns[dearest->column].drop;
    if (drop == 0) {
      break;
    }
    // Those that are as dear say little without one another, as what is read and what is written.
    std::erase_if(fitted,
                  [&](const FittedColumn& each) { return columns[each.column].drop == drop; });
  }
  // Even the columns that never go may be too many.
  while (total(fitted) > width && !fitted.empty()) {
    if (fitted.back().width > total(fitted) - width) {
      fitted.back().width -= total(fitted) - width;
    } else {
      fitted.pop_back();
    }
  }
  for (const FittedColumn& each : fitted) {
    flexible += columns[each.column].flexible ? columns[each.column].share : 0;
  }
  size_t left = width - std::min(width, total(fitted));
  size_t begin = 0;
  for (FittedColumn& each : fitted) {
    if (columns[each.column].flexible) {
      const size_t weight = columns[each.column].share;
      const size_t share = left * weight / flexible;
      flexible -= weight;
      each.width += share;
      left -= share;
    }
    each.begin = begin;
    begin += each.width + gap;
  }
  return fitted;
}

std::string padded(std::string_view text, const RowColumn& column, size_t width, bool utf8) {
  std::string cell = shortened(text, width, column.cut_inside, utf8);
  const size_t used = display_width(cell);
  const size_t blanks = used < width ? width - used : 0;
  column.right ? cell.insert(0, blanks, ' ') : cell.append(blanks, ' ');
  return cell;
}

}  // namespace ipcscope
