// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <vector>

#include "cli/render/output.h"
#include "cli/render/terminal.h"
#include "cli/selftest/runner.h"

namespace ipcscope {

struct SelftestReport {
  const Catalogue& catalogue;
  std::vector<SelftestResult> results;
  std::vector<Coverage> coverage;
  double seconds = 0;
  bool is_whole = false;  ///< every fixture was to be run
};

struct SelftestTotals {
  size_t problems = 0;     ///< fixtures with a problem that could be run
  size_t detected = 0;     ///< of these, seen as they should be
  size_t self_proven = 0;  ///< of these, reproduced, and of a kind that no command can see
  size_t mechanisms = 0;   ///< the others that could be run
  size_t shown = 0;        ///< of these, shown as they are
  size_t lookalikes = 0;   ///< different look-alikes
  size_t quiet = 0;
  size_t skipped = 0;
  size_t failed = 0;
  size_t problem_words = 0;  ///< different problems that were reproduced
  size_t use_words = 0;
};
SelftestTotals totals_of(const SelftestReport& report);

void write_selftest(Output& out, const Terminal& terminal, const SelftestReport& report);
void write_selftest_json(Output& out, const SelftestReport& report);
/// The XML that continuous integration reads.
void write_selftest_junit(Output& out, const SelftestReport& report);

}  // namespace ipcscope
