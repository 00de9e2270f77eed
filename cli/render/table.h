// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cli/render/output.h"
#include "cli/render/terminal.h"

namespace ipcscope {

enum class Style : unsigned char { plain, heading, dim, bold, warning, alarm };

struct TableColumn {
  std::string heading;
  bool right = false;       ///< aligned to the right
  bool flexible = false;    ///< gives way first where the terminal is too narrow
  bool cut_inside = false;  ///< when shortened, its two ends stay: for paths
};

/// Rows of cells, printed in aligned columns. Cells must have been escaped.
///
/// Not libsmartcols: 300,000 rows of 4 cells take it 0.7 to 1.0 s and 128 MB; this takes 0.05 s and
/// as many bytes as there is text.
class Table {
 public:
  enum class Form : unsigned char {
    aligned,
    raw,  ///< one space between cells, which then must not contain any
  };

  Table(std::vector<TableColumn> columns, Form form, bool headings);

  /// The cells of a row, left to right. An empty cell stays empty when aligned and is "-" when raw;
  /// what is unknown has to say "-" itself.
  void cell(std::string_view text, Style style = Style::plain);
  /// Fits to the terminal. Where there is none, nothing is shortened; a cell that is much longer
  /// than others then stands out instead of widening its column.
  void print(Output& out, const Terminal& terminal) const;
  [[nodiscard]] bool empty() const { return cells_ == 0; }

 private:
  struct Header {
    unsigned size : 24;
    unsigned style : 7;
    unsigned wide : 1;  ///< has bytes beyond ASCII, so its width is not its size
  };
  class Reader;

  void store(Header header, std::string_view text);
  [[nodiscard]] std::vector<size_t> fit(const Terminal& terminal) const;
  void print_row(Output& out, const Terminal& terminal, const std::vector<size_t>& widths,
                 Reader& reader) const;

  static constexpr size_t block_bytes = size_t{256} << 10;
  struct Block {
    std::unique_ptr<char[]> data;
    size_t used = 0;
    size_t size = 0;
  };

  std::vector<TableColumn> columns_;
  Form form_;
  std::vector<Block> blocks_;
  std::vector<size_t> widest_;  ///< by column
  std::vector<size_t> usual_;   ///< the same without the cells that stand out
  size_t cells_ = 0;
  size_t heading_cells_ = 0;
};

/// text between the codes that switch a style on and off.
std::string styled(std::string_view text, Style style, bool color);

}  // namespace ipcscope
