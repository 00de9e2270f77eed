// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/render/table.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace ipcscope {

namespace {

constexpr size_t gap = 2;
/// Wider cells do not widen their column where nothing is shortened.
constexpr size_t widest_unlimited = 48;
/// No flexible column is made narrower than this before the others suffer too.
constexpr size_t narrowest_flexible = 8;
constexpr size_t largest_cell = (size_t{1} << 24) - 1;

std::string_view code(Style style) {
  switch (style) {
    case Style::plain:
      return "";
    case Style::heading:
    case Style::bold:
      return "\033[1m";
    case Style::dim:
      return "\033[2m";
    case Style::warning:
      return "\033[33m";
    case Style::alarm:
      return "\033[1;31m";
  }
  return "";
}

bool has_wide(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char each) { return (each & 0x80) != 0; });
}

/// The largest cap for which the widths, each cut to the cap where may_shrink says so, take no more
/// than room; not below least.
size_t water_level(const std::vector<size_t>& widths, const std::vector<bool>& may_shrink,
                   size_t room, size_t least) {
  size_t cap = *std::max_element(widths.begin(), widths.end());
  const auto total = [&] {
    size_t sum = 0;
    for (size_t i = 0; i < widths.size(); i++) {
      sum += may_shrink[i] ? std::min(widths[i], cap) : widths[i];
    }
    return sum;
  };
  while (cap > least && total() > room) {
    cap--;
  }
  return cap;
}

void shrink(std::vector<size_t>& widths, const std::vector<bool>& may_shrink, size_t cap) {
  for (size_t i = 0; i < widths.size(); i++) {
    if (may_shrink[i]) {
      widths[i] = std::min(widths[i], cap);
    }
  }
}

}  // namespace

std::string styled(std::string_view text, Style style, bool color) {
  if (!color || style == Style::plain) {
    return std::string(text);
  }
  return std::string(code(style)).append(text).append("\033[0m");
}

/// Walks over the cells in the order that they were stored in.
class Table::Reader {
 public:
  explicit Reader(const std::vector<Block>& blocks) : blocks_(blocks) {}

  std::string_view next(Header& header) {
    while (at_ == blocks_[block_].used) {
      block_++;
      at_ = 0;
    }
    const char* cell = blocks_[block_].data.get() + at_;
    std::memcpy(&header, cell, sizeof header);
    at_ += sizeof header + header.size;
    return {cell + sizeof header, header.size};
  }

 private:
  const std::vector<Block>& blocks_;
  size_t block_ = 0;
  size_t at_ = 0;
};

Table::Table(std::vector<TableColumn> columns, Form form, bool headings)
    : columns_(std::move(columns)),
      form_(form),
      widest_(columns_.size(), 1),
      usual_(columns_.size(), 1) {
  if (headings) {
    for (const TableColumn& column : columns_) {
      cell(column.heading, Style::heading);
    }
    heading_cells_ = std::exchange(cells_, 0);
  }
}

void Table::cell(std::string_view text, Style style) {
  if (text.empty() && form_ == Form::raw) {
    text = "-";
  }
  text = text.substr(0, largest_cell);
  const Header header = {.size = static_cast<unsigned>(text.size()) & 0xffffffU,
                         .style = static_cast<unsigned>(style) & 0x7fU,
                         .wide = has_wide(text)};
  const size_t column = cells_++ % columns_.size();
  const size_t width = header.wide ? display_width(text) : text.size();
  widest_[column] = std::max(widest_[column], width);
  if (width <= widest_unlimited) {
    usual_[column] = std::max(usual_[column], width);
  }
  store(header, text);
}

void Table::store(Header header, std::string_view text) {
  const size_t needed = sizeof header + text.size();
  if (blocks_.empty() || blocks_.back().size - blocks_.back().used < needed) {
    const size_t size = std::max(needed, block_bytes);
    blocks_.push_back({std::unique_ptr<char[]>(new char[size]), 0, size});
  }
  Block& block = blocks_.back();
  std::memcpy(block.data.get() + block.used, &header, sizeof header);
  std::memcpy(block.data.get() + block.used + sizeof header, text.data(), text.size());
  block.used += needed;
}

std::vector<size_t> Table::fit(const Terminal& terminal) const {
  if (terminal.width == 0) {
    return usual_;
  }
  std::vector<size_t> widths = widest_;
  const size_t gaps = gap * (widths.size() - 1);
  const size_t room = terminal.width > gaps ? terminal.width - gaps : 0;
  std::vector<bool> may_shrink;
  for (const TableColumn& column : columns_) {
    may_shrink.push_back(column.flexible);
  }
  shrink(widths, may_shrink, water_level(widths, may_shrink, room, narrowest_flexible));
  may_shrink.assign(may_shrink.size(), true);
  shrink(widths, may_shrink, water_level(widths, may_shrink, room, 1));
  return widths;
}

void Table::print_row(Output& out, const Terminal& terminal, const std::vector<size_t>& widths,
                      Reader& reader) const {
  const bool cut = terminal.width != 0 && form_ == Form::aligned;
  size_t used = 0;
  size_t spaces = 0;  // still to be written, if anything follows
  for (size_t i = 0; i < columns_.size(); i++) {
    Header header{};
    std::string_view text = reader.next(header);
    if (form_ == Form::raw) {
      out.write(i > 0 ? " " : "");
      out.write(text);
      continue;
    }
    if (cut && used + (i > 0 ? gap : 0) >= terminal.width) {
      continue;  // a terminal too narrow even for one cell a column; the rest is still to be read
    }
    size_t width = header.wide ? display_width(text) : text.size();
    std::string part;
    if (cut && width > widths[i]) {
      part = shortened(text, widths[i], columns_[i].cut_inside, terminal.utf8);
      text = part;
      width = display_width(text);
    }
    const size_t padding = width < widths[i] ? widths[i] - width : 0;
    spaces += (i > 0 ? gap : 0) + (columns_[i].right ? padding : 0);
    if (!text.empty()) {
      out.repeat(' ', spaces);
      spaces = 0;
      const std::string_view on = terminal.color ? code(static_cast<Style>(header.style)) : "";
      out.write(on);
      out.write(text);
      out.write(on.empty() ? "" : "\033[0m");
    }
    spaces += columns_[i].right ? 0 : padding;
    used += (i > 0 ? gap : 0) + std::max(width, widths[i]);
  }
  out.put('\n');
}

void Table::print(Output& out, const Terminal& terminal) const {
  const std::vector<size_t> widths = fit(terminal);
  Reader reader(blocks_);
  const size_t rows = (heading_cells_ + cells_) / columns_.size();
  for (size_t row = 0; row < rows && out.error() == 0; row++) {
    print_row(out, terminal, widths, reader);
  }
}

}  // namespace ipcscope
