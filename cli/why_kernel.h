// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "cli/why_report.h"
#include "collectors/base/proc_root.h"

namespace ipcscope {

/// Adds what the kernel has threads sleep in where a chain or a finding ends at a device, for those
/// that have not moved since the snapshot. Only root may read it.
void add_kernel_stacks(WhyReport& report, const ProcRoot& proc);

}  // namespace ipcscope
