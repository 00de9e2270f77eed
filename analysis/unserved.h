// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <vector>

#include "analysis/stuck.h"

namespace ipcscope {

/// What lies at a channel while all who could take it sleep: missed-edge, full-backlog,
/// lost-datagrams and fd-in-flight, as ipcscope-findings(7) describes them. Nobody need wait for
/// it.
std::vector<Finding> find_unserved(const StuckQuestion& question);

}  // namespace ipcscope
