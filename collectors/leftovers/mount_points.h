// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "collectors/base/proc_root.h"

namespace ipcscope {

/// The mounts of one mount namespace as a process in it sees them, by path.
class MountPoints {
 public:
  struct Mount {
    uint32_t device = 0;  ///< of the superblock, as in records
    bool local = false;   ///< a file system on which files are looked for
    /// stat() tells another device or inode number than the kernel's tables (overlay, btrfs).
    bool odd_numbers = false;
  };

  /// text: /proc/PID/mountinfo. A later line covers an earlier one of the same path.
  explicit MountPoints(std::string_view text);

  /// The mount at exactly this path; null when there is none.
  [[nodiscard]] const Mount* at(const std::string& path) const;
  /// The mount that holds path, when every mount on the way to it is local; else null. is_own: the
  /// way there is ours, which is trodden anyway: only the last mount counts.
  [[nodiscard]] const Mount* holder(const std::string& path, bool is_own) const;
  /// Paths at which network namespaces are bound (ip-netns(8), container runtimes).
  [[nodiscard]] const std::vector<std::string>& network_name_spaces() const { return networks_; }

 private:
  std::map<std::string, Mount> mounts_;
  std::vector<std::string> networks_;
};

/// A path of mountinfo, in which blanks, newlines and backslashes are written as three octal digits
/// (mangle() in fs/proc_namespace.c).
std::string unescape_mount_path(std::string_view path);

}  // namespace ipcscope
