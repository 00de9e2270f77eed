// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <array>

#include "bpf/activity.h"

namespace ipcscope {

/// Which system calls move something through a channel, by number, for the programs.
std::array<activity_call, TRACE_CALLS> activity_calls();

}  // namespace ipcscope
