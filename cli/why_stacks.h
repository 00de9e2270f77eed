// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "cli/why_report.h"
#include "collectors/base/proc_root.h"
#include "collectors/request.h"

namespace ipcscope {

/// Adds the functions that the threads of chains and findings are in, and the names of the locks
/// that they wait for; where the owner of a lock is unknown, also the runtime that keeps it so.
void add_stacks(WhyReport& report, const ProcRoot& proc, SourceChoice source);

}  // namespace ipcscope
