// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/render/table.h"
#include "collectors/model/snapshot.h"

namespace ipcscope {

struct TopFrame;

/// The tables of the screen. The order is that of the number keys.
enum class Tab : unsigned char { channels, locks, processes, findings, limits, count };
constexpr size_t tab_count = static_cast<size_t>(Tab::count);
/// The word of --tab, of JSON, and in capitals of the screen.
std::string_view tab_name(Tab tab);
std::optional<Tab> tab_from_name(std::string_view name);

struct RowColumn {
  std::string_view name;  ///< the word of --sort, in capitals the heading
  std::string_view help;
  size_t width;             ///< cells on the screen; where it is flexible: at least
  unsigned drop;            ///< the highest go first where the screen is narrow; 0: never
  bool right = false;       ///< aligned to the right
  bool flexible = false;    ///< takes a share of what others leave
  bool cut_inside = false;  ///< when shortened, its two ends stay
  bool rising = false;  ///< sorted by it, the smallest come first: texts and numbers of processes
  unsigned share = 1;   ///< how much more of that than others
};

struct Cell {
  std::string text;  ///< escaped
  Style style = Style::plain;
};

/// The rows of one tab of one frame, in no order that matters. Made where they are shown, in memory
/// only: a frame has what they are about.
class Rows {
 public:
  virtual ~Rows() = default;
  [[nodiscard]] virtual std::span<const RowColumn> columns() const = 0;
  [[nodiscard]] virtual size_t size() const = 0;
  /// What stays the same while its numbers change: the id of a channel, the number of a process.
  [[nodiscard]] virtual std::string identity(size_t row) const = 0;
  /// The row with this identity; no_index when there is none.
  [[nodiscard]] virtual uint32_t find(std::string_view identity) const;
  [[nodiscard]] virtual Cell cell(size_t row, size_t column) = 0;
  /// Negative where a comes before b. Column 0 is the order in which rows deserve to be looked at.
  [[nodiscard]] virtual int compare(size_t a, size_t b, size_t column) const = 0;
  /// Escaped: everything about it that somebody may search for.
  [[nodiscard]] virtual std::string text(size_t row) = 0;
  /// Its kind; nothing where it has none.
  [[nodiscard]] virtual std::optional<Kind> kind(size_t row) const = 0;
  /// The processes that it is about.
  [[nodiscard]] virtual std::vector<int32_t> pids(size_t row) const = 0;

  // Of a hundred thousand rows few differ from one frame to the next. Where a table knows which,
  // the others need not be put in order again.

  /// The first rows of this table as they are when nothing happens; null: it does not know.
  [[nodiscard]] virtual Rows* settled() { return nullptr; }
  /// The same as long as the settled rows are the same.
  [[nodiscard]] virtual uint64_t settled_key() const { return 0; }
  /// The rows that are not as settled() has them.
  [[nodiscard]] virtual std::vector<uint32_t> changing() const;
};

/// frame has to live as long.
std::unique_ptr<Rows> make_rows(const TopFrame& frame, Tab tab, EscapeStyle style);
/// The columns of a tab without any frame.
std::span<const RowColumn> columns_of(Tab tab);

/// -1, 0 or 1, the larger first; what is unknown comes last.
template <typename T>
int falling(const T& a, const T& b) {
  return a > b ? -1 : a < b ? 1 : 0;
}
inline int rising(std::string_view a, std::string_view b) {
  const int order = a.compare(b);
  return order < 0 ? -1 : order > 0 ? 1 : 0;
}

/// "0", "0.3", "12", "12.3k": a number a second, at most five characters; "-" when unknown.
std::string rate_text(const std::optional<double>& per_second);
/// The same for bytes: "0", "512", "4.0K".
std::string bytes_rate_text(const std::optional<double>& per_second);
/// "||||    83%", in as many cells; "-" when unknown.
std::string bar_text(const std::optional<unsigned>& percent, size_t width);

}  // namespace ipcscope
