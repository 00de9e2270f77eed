// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "collectors/base/fd.h"
#include "collectors/leftovers/mount_points.h"
#include "collectors/model/leftovers.h"

namespace ipcscope {

/// A file that the walk found. Of its fact, used is not known yet, and pid is the number in the
/// file.
struct FoundPath {
  PathFact fact;
  bool odd_numbers = false;  ///< MountPoints::Mount::odd_numbers
};

/// An O_PATH descriptor of the directory path below root, step by step, so that no symbolic link is
/// followed; empty, with errno, when there is none.
Fd step_down(const Fd& root, std::string_view path);

/// Looks for sockets, FIFOs and lock files that name a process, in the directories where programs
/// leave them, of one mount namespace after the other. Only on local file systems, never through a
/// symbolic link; nothing is opened but directories and lock files. A directory that two namespaces
/// share is looked into once.
class PathWalk {
 public:
  struct Limits {
    unsigned depth = 6;         ///< directories below each starting point
    uint64_t entries = 200000;  ///< in all
  };
  PathWalk() : PathWalk(Limits()) {}
  explicit PathWalk(Limits limits) : limits_(limits) {}

  /// root: the namespace's root directory as mounts has it. name_space: 0 for ipcscope's own.
  void walk(const Fd& root, const MountPoints& mounts, uint32_t name_space);
  /// A namespace that cannot be looked into.
  void fail(const std::string& why);

  [[nodiscard]] std::vector<FoundPath>& found() { return found_; }
  [[nodiscard]] Coverage coverage() const;

 private:
  struct Place {
    std::string path;
    uint32_t name_space = 0;
    unsigned depth = 0;
    const MountPoints& mounts;
    MountPoints::Mount mount;
  };
  void enter(const Fd& directory, const Place& place);
  void visit(int directory, const Place& place, const char* name, unsigned char type);
  void add(int directory, const Place& place, const char* name, PathFact::Type type);

  Limits limits_;
  std::vector<FoundPath> found_;
  std::set<std::pair<uint64_t, uint64_t>> visited_;  ///< device and inode of directories
  uint64_t entries_ = 0;
  uint64_t unreadable_ = 0;
  uint64_t too_deep_ = 0;  ///< directories that were not entered
  uint64_t cut_off_ = 0;   ///< directories that were not read to their end
  std::string reason_;
};

}  // namespace ipcscope
