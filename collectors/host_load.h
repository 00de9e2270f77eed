// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "collectors/base/proc_root.h"

namespace ipcscope {

/// How busy the host is. What could not be read is nothing.
struct HostLoad {
  std::optional<uint64_t> uptime_s;
  std::optional<std::array<double, 3>> averages;  ///< over 1, 5 and 15 minutes
  /// Hundredths of the last 10 seconds in which some task waited for it: /proc/pressure, where the
  /// kernel has it (CONFIG_PSI) and it is not switched off (psi=0).
  std::optional<double> cpu_pressure, memory_pressure, io_pressure;
};

/// Reads five small files.
HostLoad read_host_load(const ProcRoot& proc);

}  // namespace ipcscope
