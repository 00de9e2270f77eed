// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/control_group.h"

#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <filesystem>
#include <iterator>

#include "cli/render/escape.h"

namespace ipcscope {

namespace {

constexpr const char* mount = "/sys/fs/cgroup";

/// How many directories the resolved path of a directory is below another one.
uint32_t depth_below(const std::string& root, const std::string& directory) {
  std::error_code error;
  const auto below = std::filesystem::relative(directory, root, error);
  return error || below == "." ? 0
                               : static_cast<uint32_t>(std::distance(below.begin(), below.end()));
}

}  // namespace

Result<ControlGroup> find_control_group(const std::string& path) {
  std::string below = path.starts_with(mount) ? path.substr(std::string(mount).size()) : path;
  if (!below.starts_with('/')) {
    below.insert(0, 1, '/');
  }
  // Where version 1 is mounted beside it, version 2 is in a directory of its own.
  for (const char* version : {"", "/unified"}) {
    const std::string root = std::string(mount) + version;
    const std::string directory = root + below;
    struct statfs system {};
    struct stat file {};
    if (::statfs(directory.c_str(), &system) == 0 && ::stat(directory.c_str(), &file) == 0 &&
        system.f_type == CGROUP2_SUPER_MAGIC && S_ISDIR(file.st_mode)) {
      // The kernel's own identifier (kernfs, 5.5 and later).
      return ControlGroup{file.st_ino, depth_below(root, directory)};
    }
  }
  return failure(fmt::format("no control group '{}' below {}", escaped(path, {}), mount));
}

Result<uint64_t> control_group_id(const std::string& path) {
  const Result<ControlGroup> group = find_control_group(path);
  if (!group) {
    return Failure(group.error());
  }
  return group->id;
}

}  // namespace ipcscope
