// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/limit_report.h"
#include "cli/render/json.h"
#include "cli/render/output.h"
#include "cli/render/table.h"
#include "cli/render/terminal.h"
#include "cli/render/text.h"
#include "collectors/base/result.h"

namespace ipcscope {

/// What a column of `limits` needs to write its cells.
struct LimitContext {
  UserNames& users;
  EscapeStyle style;
  bool raw = false;  ///< exact numbers
};

struct LimitColumn {
  std::string_view name;
  std::string_view help;
  /// Appends the cell's text, escaped.
  void (*write)(LimitContext& context, const LimitUse& use, std::string& out);
  bool right = false;
  bool flexible = false;
  bool cut_inside = false;
};
const std::vector<LimitColumn>& all_limit_columns();
/// Those that say the most in so many columns of a terminal. 0: as many as one likes.
std::vector<LimitColumn> default_limit_columns(size_t width = 0);
/// The columns of "a,b,c"; with a '+' before it, behind the usual ones.
Result<std::vector<LimitColumn>> parse_limit_columns(std::string_view list, size_t width = 0);

struct LimitForm {
  std::vector<LimitColumn> columns;
  bool raw = false;
  bool headings = true;
};

/// The lines that are shown.
void write_limits(Output& out, const Terminal& terminal, const LimitReport& report,
                  const LimitForm& form);
/// What is near, and how it is raised; at most so many findings.
void write_near_limits(Output& out, const Terminal& terminal, const LimitReport& report,
                       size_t most);
/// "3 near, 1 of them critical; 12 of 61 limits shown, --all shows the others"
std::string limits_summary(const LimitReport& report);

/// The object of one limit.
void write_limit(Json& json, const LimitUse& use, UserNames& users);
/// The members `limits` and `findings`.
void write_limits(Json& json, const LimitReport& report, UserNames& users);
/// The whole object of `limits --json`.
void write_limits_json(Output& out, const LimitReport& report);

}  // namespace ipcscope
