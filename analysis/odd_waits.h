// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <vector>

#include "analysis/stuck.h"

namespace ipcscope {

/// Waits that are wrong in themselves, whoever else there is: half-open, semaphore-not-posted,
/// select-limit and stopped-terminal, as ipcscope-findings(7) describes them. `told`: by thread,
/// whether another finding is about it already.
std::vector<Finding> find_odd_waits(const StuckQuestion& question, const std::vector<bool>& told);

}  // namespace ipcscope
