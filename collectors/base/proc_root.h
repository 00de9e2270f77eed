// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <dirent.h>
#include <fcntl.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "collectors/base/fd.h"
#include "collectors/base/result.h"

namespace ipcscope {

/// A directory that is /proc, or a fake one in tests. Every path is relative to it.
class ProcRoot {
 public:
  static Result<ProcRoot> open(const char* path = "/proc");

  /// The whole of a file, whatever size it claims to have. Appends nothing: replaces out.
  Result<void> read(const char* path, std::string& out) const;
  Result<std::string> read(const std::string& path) const;
  /// The target of a symbolic link; the target itself is never touched.
  Result<std::string> link(const char* path) const;
  /// Calls each(name) for every entry of a directory but . and .. until it returns false.
  Result<void> list(const char* path, const std::function<bool(const char*)>& each) const;
  /// The numeric entries of a directory, in the order that the kernel gives them.
  Result<std::vector<int>> numbers(const char* path) const;
  /// The inode number of a namespace link: "ipc:[4026531839]" of PID/ns/ipc.
  std::optional<unsigned> namespace_id(int pid, const char* kind) const;

  [[nodiscard]] int descriptor() const { return directory_.get(); }

 private:
  explicit ProcRoot(Fd directory) : directory_(std::move(directory)) {}
  Fd directory_;
};

}  // namespace ipcscope
