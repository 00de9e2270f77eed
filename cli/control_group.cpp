// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/control_group.h"

#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "cli/render/escape.h"

namespace ipcscope {

Result<uint64_t> control_group_id(const std::string& path) {
  constexpr const char* mount = "/sys/fs/cgroup";
  std::string below = path.starts_with(mount) ? path.substr(std::string(mount).size()) : path;
  if (!below.starts_with('/')) {
    below.insert(0, 1, '/');
  }
  // Where version 1 is mounted beside it, version 2 is in a directory of its own.
  for (const char* version : {"", "/unified"}) {
    const std::string directory = mount + (version + below);
    struct statfs system {};
    struct stat file {};
    if (::statfs(directory.c_str(), &system) == 0 && ::stat(directory.c_str(), &file) == 0 &&
        system.f_type == CGROUP2_SUPER_MAGIC && S_ISDIR(file.st_mode)) {
      return file.st_ino;  // the kernel's own identifier (kernfs, 5.5 and later)
    }
  }
  return failure(fmt::format("no control group '{}' below {}", escaped(path, {}), mount));
}

}  // namespace ipcscope
