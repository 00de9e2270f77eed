// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "cli/command.h"
#include "cli/leak_report.h"
#include "cli/render/leaks.h"

namespace ipcscope {

/// `leaks --clean`: shows the plan, asks, and removes. Fills the outcomes of report. Returns the
/// exit status; from status_usage on nothing was removed.
int clean_leaks(const Options& options, const Stage& stage, LeakReport& report, LeakForm form);

/// `leaks --restore`. Returns the exit status.
int restore_leaks(const Options& options, const Stage& stage);

}  // namespace ipcscope
