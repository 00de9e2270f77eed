// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>

#include "cli/top/frame.h"
#include "cli/top/wanted.h"
#include "collectors/base/proc_root.h"
#include "collectors/request.h"

namespace ipcscope {

/// One row in full: what `show`, `locks` or `limits` print of it, its findings, and the chain of
/// waits of its threads. snapshot_taken: when the frame's snapshot was.
FrameDetail tell_detail(const WantedDetail& wanted, const Frame& frame,
                        std::chrono::steady_clock::time_point snapshot_taken, bool utf8,
                        const ProcRoot& proc);

}  // namespace ipcscope
