// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "cli/why_report.h"
#include "collectors/base/proc_root.h"

namespace ipcscope {

/// Adds to the waits of chains at System V semaphores which one it is, and who used it last. Reads
/// the operations from the memory of the waiting process.
void add_semaphore_notes(WhyReport& report, const ProcRoot& proc);

}  // namespace ipcscope
