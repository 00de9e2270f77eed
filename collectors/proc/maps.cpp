// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/proc/maps.h"

#include "collectors/base/parse.h"

namespace ipcscope {

std::optional<MapLine> parse_maps_line(std::string_view line) {
  MapLine map;
  std::string_view range = next_word(line);
  const std::string_view permissions = next_word(line);
  const auto start = parse_number<uint64_t>(next_word(range, "-"), 16);
  const auto end = parse_number<uint64_t>(next_word(range, "-"), 16);
  const auto offset = next_number<uint64_t>(line, 16);
  std::string_view device = next_word(line);
  const auto major = parse_number<uint32_t>(next_word(device, ":"), 16);
  const auto minor = parse_number<uint32_t>(next_word(device, ":"), 16);
  const auto inode = next_number<uint64_t>(line);
  if (permissions.size() != 4 || !start || !end || *start >= *end || !offset || !major || !minor ||
      *major > 0xfff || *minor > 0xfffff || !inode) {
    return std::nullopt;
  }
  map.start = *start;
  map.end = *end;
  map.offset = *offset;
  map.device = *major << 20 | *minor;
  map.inode = *inode;
  map.readable = permissions[0] == 'r';
  map.writable = permissions[1] == 'w';
  map.executable = permissions[2] == 'x';
  map.shared = permissions[3] == 's' || permissions[3] == 'S';
  const size_t path = line.find_first_not_of(' ');
  if (path != std::string_view::npos) {
    map.path = line.substr(path);
  }
  return map;
}

}  // namespace ipcscope
