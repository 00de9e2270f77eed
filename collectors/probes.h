// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <vector>

#include "collectors/base/proc_root.h"
#include "collectors/doctor.h"

namespace ipcscope {

/// Whether the probes of `locks` and `trace` can be attached, and report what a child of ipcscope,
/// or itself, does. They are gone when this returns.
std::vector<Capability> probe_tracing(const ProcRoot& proc);

}  // namespace ipcscope
