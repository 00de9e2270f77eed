// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/render/table.h"
#include "cli/render/who.h"
#include "collectors/base/result.h"
#include "collectors/protocol.h"

namespace ipcscope {

/// What a column needs to write its cells.
struct ColumnContext {
  Who& who;
  UserNames& users;
  bool raw = false;                      ///< sizes in bytes, times in milliseconds
  const Protocols* protocols = nullptr;  ///< nothing: not asked for
  /// The process whose row it is, in a tree.
  ProcessIndex process = no_index;
};

/// A column of `ls`: one that every channel has, or any attribute of a kind.
struct Column {
  std::string_view name;
  std::string_view help;
  /// Appends the cell's text, escaped.
  void (*write)(ColumnContext& context, const Channel& channel, const Column& column,
                std::string& out);
  bool right = false;
  bool flexible = false;
  bool cut_inside = false;

  [[nodiscard]] std::string heading() const;
  [[nodiscard]] Style style(const ColumnContext& context, const Channel& channel) const;
};

/// Hundredths of its capacity that are queued, in messages or bytes, whichever limits it; nothing
/// when either number is unknown.
std::optional<unsigned> fullness(const Channel& channel);

/// Appends the value of an attribute for people, escaped.
void append_attribute(std::string& out, const Attribute& attribute, EscapeStyle style);

/// The column for which Protocols are to be found.
inline constexpr std::string_view protocol_column = "app_protocol";

/// Every column, in the order in which -H lists them.
const std::vector<Column>& all_columns();
/// The columns of "a,b,c"; with a '+' before it, behind the defaults.
Result<std::vector<Column>> parse_columns(std::string_view list,
                                          const std::vector<Column>& defaults);
std::vector<Column> default_columns();
std::vector<Column> default_tree_columns();

}  // namespace ipcscope
