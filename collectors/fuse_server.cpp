// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/fuse_server.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "collectors/base/parse.h"
#include "collectors/proc/mounts.h"

namespace ipcscope {

namespace {

/// The number after "key:" in a text of such lines.
std::optional<uint32_t> number_of(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    std::string_view line = next_line(text);
    if (line.starts_with(key) && line.substr(key.size()).starts_with(':')) {
      line.remove_prefix(key.size() + 1);
      return next_number<uint32_t>(line);
    }
  }
  return std::nullopt;
}

/// virtiofs is one too, with its server in the host of the virtual machine.
bool is_fuse(std::string_view type) {
  return type == "fuse" || type == "fuseblk" || type == "virtiofs" || type.starts_with("fuse.");
}

/// The superblock's device of the file system that is waited for.
std::optional<uint32_t> awaited_device(const ProcRoot& proc, int pid, std::optional<int> fd) {
  const Result<std::string> mounts = proc.read(fmt::format("{}/mountinfo", pid));
  if (!mounts) {
    return std::nullopt;
  }
  std::optional<uint32_t> mount;
  if (fd) {
    const Result<std::string> info = proc.read(fmt::format("{}/fdinfo/{}", pid, *fd));
    mount = info ? number_of(*info, "mnt_id") : std::nullopt;
    if (!mount) {
      return std::nullopt;
    }
  }
  std::set<uint32_t> devices;
  std::string_view left = *mounts;
  while (!left.empty()) {
    const auto line = parse_mountinfo_line(next_line(left));
    if (line && is_fuse(line->type) && (!mount || static_cast<uint32_t>(line->id) == *mount)) {
      devices.insert(line->device);
    }
  }
  return devices.size() == 1 ? std::optional(*devices.begin()) : std::nullopt;
}

/// Who has /dev/fuse open, and whether all that could be was seen.
struct Servers {
  std::set<int> of_device;  ///< for the device that is waited for
  std::set<int> unknown;    ///< for which is not known
  bool complete = true;
};

Servers find_servers(const ProcRoot& proc, uint32_t device) {
  Servers servers;
  const Result<std::vector<int>> pids = proc.numbers(".");
  for (const int pid : pids ? *pids : std::vector<int>()) {
    const Result<std::vector<int>> fds = proc.numbers(fmt::format("{}/fd", pid).c_str());
    servers.complete = servers.complete && fds;
    for (const int fd : fds ? *fds : std::vector<int>()) {
      const Result<std::string> target = proc.link(fmt::format("{}/fd/{}", pid, fd).c_str());
      if (!target || *target != "/dev/fuse") {
        continue;
      }
      // Linux 6.18 tells the device of its superblock, older ones do not (fs/fuse/dev.c).
      const Result<std::string> info = proc.read(fmt::format("{}/fdinfo/{}", pid, fd));
      const auto connection = info ? number_of(*info, "fuse_connection") : std::nullopt;
      if (!connection) {
        servers.unknown.insert(pid);
      } else if (*connection == device) {
        servers.of_device.insert(pid);
      }
    }
  }
  return servers;
}

}  // namespace

std::optional<int> find_fuse_server(const ProcRoot& proc, int pid, std::optional<int> fd) {
  const std::optional<uint32_t> device = awaited_device(proc, pid, fd);
  if (!device) {
    return std::nullopt;
  }
  const Servers servers = find_servers(proc, *device);
  if (servers.of_device.size() == 1) {
    return *servers.of_device.begin();
  }
  const bool only = servers.of_device.empty() && servers.unknown.size() == 1 && servers.complete;
  return only ? std::optional(*servers.unknown.begin()) : std::nullopt;
}

}  // namespace ipcscope
