// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "collectors/base/proc_root.h"
#include "collectors/base/result.h"
#include "collectors/model/snapshot.h"
#include "collectors/request.h"

namespace ipcscope {

/// One look at the host. Each part comes from the best source that request.source allows; what
/// could not be seen is in the snapshot's coverage. Fails only when nothing could be collected, or
/// when request.source asks for BPF and it cannot be had.
Result<Snapshot> take_snapshot(const Request& request, const ProcRoot& proc);

/// Who this host is and what time it is, for a report: time_ns is CLOCK_REALTIME, boot_ns
/// CLOCK_BOOTTIME.
void describe_host(std::string& host, std::string& kernel, int64_t& time_ns, int64_t& boot_ns);

}  // namespace ipcscope
