// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>

namespace ipcscope {

/// CPU time in ns that a thread uses from being woken until it sleeps again, without doing anything
/// in between: three of four times it was at most that. It is some microseconds on hardware, and
/// some dozens where CPUs are emulated. Takes 12 ms; 0 when it cannot be measured.
uint64_t measure_wake_cost_ns();

/// CPU time in ns below which a thread that was woken at a lock, and sleeps there again, is taken
/// to have found it taken; whoever uses this or more had it meanwhile. Ten times what it costs, for
/// interrupts and cold caches come in between; at least 50 us, and at most 500, where somebody else
/// used the time.
uint64_t same_attempt_ns(uint64_t wake_cost_ns);

}  // namespace ipcscope
