// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace ipcscope {

/// One line of /proc/PID/maps (proc_pid_maps(5)). path points into the line.
struct MapLine {
  uint64_t start = 0;
  uint64_t end = 0;
  uint64_t offset = 0;
  uint32_t device = 0;  ///< major << 20 | minor
  uint64_t inode = 0;
  bool readable = false, writable = false, executable = false, shared = false;
  std::string_view path;  ///< newlines in it are "\012"
};
std::optional<MapLine> parse_maps_line(std::string_view line);

}  // namespace ipcscope
