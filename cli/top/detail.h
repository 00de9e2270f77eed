// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <memory>

#include "cli/top/frame.h"
#include "cli/top/wanted.h"
#include "collectors/base/proc_root.h"

namespace ipcscope {

/// One row in full: what `show`, `locks` or `limits` print of it, its findings, and the chain of
/// waits of its threads.
FrameDetail tell_detail(const WantedDetail& wanted, const TopFrame& frame, bool utf8,
                        const ProcRoot& proc);
/// The frame's snapshot of the whole host, to keep.
std::shared_ptr<const Snapshot> snapshot_of(const TopFrame& frame);

}  // namespace ipcscope
