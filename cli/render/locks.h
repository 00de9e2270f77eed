// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>

#include "cli/lock_report.h"
#include "cli/render/json.h"
#include "cli/render/output.h"
#include "cli/render/terminal.h"

namespace ipcscope {

/// Tables, findings, what was asked for in full, and what was measured.
void write_locks(Output& out, const Terminal& terminal, const LockReport& report);
/// One lock in full: numbers, histogram, who waited behind whom, and its stacks where it has any.
void write_lock(Output& out, const Terminal& terminal, const LockReport& report, uint32_t lock);
/// Only the stacks of a lock. Nothing where it has none.
void write_lock_stacks(Output& out, const Terminal& terminal, const LockReport& report,
                       uint32_t lock);

/// A line for each power of two in which there is a wait or which is between such, with its count
/// and a bar. indent: blanks before each. width: cells that a line may take; 0: 80.
void write_histogram(Output& out, const DurationHistogram& histogram, size_t indent, size_t width);

/// The whole object. one_line: no line breaks within it.
void write_locks_json(Output& out, const LockReport& report, bool one_line);
/// The object of one lock in it.
void write_lock_json(Json& json, const LockReport& report, uint32_t lock);

/// "950", "12.3k", "1.2M": at most five characters.
std::string short_count(uint64_t count);
/// "worker[815] 61%", with what stands in for a holder where there is none; escaped.
std::string holder_cell(const LockWindow& window, const LockUse& lock, EscapeStyle style);

}  // namespace ipcscope
