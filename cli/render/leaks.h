// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "analysis/finding.h"
#include "cli/leak_report.h"
#include "cli/render/output.h"
#include "cli/render/table.h"
#include "cli/render/terminal.h"
#include "cli/render/text.h"
#include "collectors/base/result.h"

namespace ipcscope {

/// What a column of `leaks` needs to write its cells.
struct LeakContext {
  const LeakReport& report;
  UserNames& users;
  EscapeStyle style;
  bool raw = false;  ///< sizes in bytes, times in seconds
};

struct LeakColumn {
  std::string_view name;
  std::string_view help;
  /// Appends the cell's text, escaped.
  void (*write)(LeakContext& context, const Leak& leak, std::string& out);
  bool right = false;
  bool flexible = false;
  bool cut_inside = false;
};
const std::vector<LeakColumn>& all_leak_columns();
/// Those that say the most in so many columns of a terminal. 0: as many as one likes.
std::vector<LeakColumn> default_leak_columns(size_t width = 0);
/// The columns of "a,b,c"; with a '+' before it, behind the usual ones.
Result<std::vector<LeakColumn>> parse_leak_columns(std::string_view list, size_t width = 0);

struct LeakForm {
  std::vector<LeakColumn> columns;
  bool raw = false;
  bool headings = true;
  bool evidence = false;  ///< all of it below each, instead of columns
  bool planned = false;   ///< only what is to be removed
};

void write_leaks(Output& out, const Terminal& terminal, const LeakReport& report,
                 const LeakForm& form);
/// Why the verdict is what it is, in one line; raw bytes.
std::string why(const Leak& leak);
/// A leak as the finding that it is.
Finding leak_finding(const Leak& leak);
/// "leaked: 14 of 4,096 segments, 2.3 GiB; 61 of 32,000 semaphore sets", or that there is nothing;
/// then what was left out. Some lines.
std::vector<std::string> leak_totals(const LeakReport& report);
/// "512 bytes", "2.3 GiB"
std::string size_text(uint64_t bytes);
/// "shm:5 (64 KiB, key 0x00001234, 3 messages)", escaped.
std::string leak_label(const LeakReport& report, const Leak& leak, EscapeStyle style);

/// The whole object of `leaks --json`.
void write_leaks_json(Output& out, const LeakReport& report);
/// The whole object of `leaks --restore --json`.
void write_restored_json(Output& out, const std::vector<Restored>& restored);

std::string_view outcome_name(Outcome::State state);
std::string_view restored_name(Restored::State state);

}  // namespace ipcscope
