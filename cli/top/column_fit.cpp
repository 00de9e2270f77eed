// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/top/column_fit.h"

#include <algorithm>
#include <set>
#include <utility>

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
  std::set<unsigned> ranks;
  for (const RowColumn& each : columns) {
    ranks.insert(each.drop);
  }
  // The dearest first. Those of one rank say little without one another, as what is read and what
  // is written.
  std::set<unsigned> kept;
  for (const unsigned rank : ranks) {
    std::vector<FittedColumn> more;
    for (size_t i = 0; i < columns.size(); i++) {
      if (kept.contains(columns[i].drop) || columns[i].drop == rank) {
        more.push_back({i, 0, columns[i].width});
      }
    }
    if (rank == 0 || total(more) <= width) {
      kept.insert(rank);
      fitted = std::move(more);
    }
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
