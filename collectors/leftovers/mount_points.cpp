// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/leftovers/mount_points.h"

#include <algorithm>

#include "collectors/base/parse.h"
#include "collectors/proc/mounts.h"

namespace ipcscope {

namespace {

/// Where programs put sockets and PID files, and where no look waits for a server or a process.
bool is_searched(std::string_view type) {
  static constexpr std::string_view types[] = {"tmpfs", "ramfs", "ext2",    "ext3", "ext4",
                                               "xfs",   "btrfs", "overlay", "f2fs"};
  return std::find(std::begin(types), std::end(types), type) != std::end(types);
}

bool is_octal(char digit) { return digit >= '0' && digit <= '7'; }

}  // namespace

std::string unescape_mount_path(std::string_view path) {
  std::string plain;
  plain.reserve(path.size());
  for (size_t i = 0; i < path.size(); i++) {
    if (path[i] == '\\' && path.size() - i > 3 && is_octal(path[i + 1]) && is_octal(path[i + 2]) &&
        is_octal(path[i + 3])) {
      plain += static_cast<char>((path[i + 1] - '0') * 64 + (path[i + 2] - '0') * 8 +
                                 (path[i + 3] - '0'));
      i += 3;
    } else {
      plain += path[i];
    }
  }
  return plain;
}

MountPoints::MountPoints(std::string_view text) {
  while (!text.empty()) {
    const auto line = parse_mountinfo_line(next_line(text));
    if (!line) {
      continue;
    }
    std::string point = unescape_mount_path(line->point);
    if (line->type == "nsfs" && line->root.starts_with("net:[")) {
      networks_.push_back(point);
    }
    mounts_.insert_or_assign(std::move(point),
                             Mount{line->device, is_searched(line->type),
                                   line->type == "overlay" || line->type == "btrfs"});
  }
}

const MountPoints::Mount* MountPoints::at(const std::string& path) const {
  const auto found = mounts_.find(path);
  return found == mounts_.end() ? nullptr : &found->second;
}

const MountPoints::Mount* MountPoints::holder(const std::string& path, bool is_own) const {
  const Mount* last = at("/");
  bool all_local = last != nullptr && last->local;
  for (size_t end = path.find('/', 1); end != std::string::npos || !path.empty();
       end = path.find('/', end + 1)) {
    if (const Mount* here = at(path.substr(0, end)); here != nullptr && path != "/") {
      last = here;
      all_local = all_local && here->local;
    }
    if (end == std::string::npos) {
      break;
    }
  }
  return last != nullptr && last->local && (is_own || all_local) ? last : nullptr;
}

}  // namespace ipcscope
