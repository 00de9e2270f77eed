// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "collectors/base/proc_root.h"
#include "collectors/base/result.h"
#include "collectors/model/limit_facts.h"
#include "collectors/request.h"

namespace ipcscope {

/// The kinds of channels that collect_limits() counts: what a snapshot for it needs.
Request limits_request();

/// Reads each limit and its use. Counts of channels are those of the snapshot; what a kind lacks
/// that was not collected is unknown. Values of other namespaces are read by a child that goes
/// there; ipcscope's own namespaces never change. Fails when /proc cannot be read.
Result<LimitFacts> collect_limits(const Snapshot& snapshot, const ProcRoot& proc);

}  // namespace ipcscope
