// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/trace/rings.h"

#include <ctime>

namespace ipcscope {

uint64_t TraceRings::latest() {
  // From the end of a call to its record a program needs less than a microsecond, but it can be
  // interrupted.
  constexpr uint64_t on_the_way_ns = 20'000;
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec) -
         on_the_way_ns;
}

}  // namespace ipcscope
