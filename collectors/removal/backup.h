// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>

#include "collectors/base/fd.h"
#include "collectors/removal/manifest.h"

namespace ipcscope {

/// A directory with a manifest and data files. A process at a time: the manifest is locked. A child
/// in another namespace goes on with the descriptors, so that path is never looked up there.
class Backup {
 public:
  /// Makes a new one below this directory, which is made too. Nothing is promised to be on the disk
  /// before sync().
  static Result<Backup> make(const std::string& below);
  /// Opens what make() made. Fails when it is no backup, or while another process works on it.
  static Result<Backup> open(const std::string& path);

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] const Manifest& manifest() const { return manifest_; }  ///< of open()

  /// Appends a line. A line that did not fit is taken back.
  Result<void> note(const std::string& line);
  Result<Fd> create(const std::string& name) const;
  [[nodiscard]] Result<Fd> open_file(const std::string& name, int flags) const;
  void discard(const std::string& name) const;
  /// Fails, in words, when there is less room than that.
  [[nodiscard]] Result<void> require_room(uint64_t bytes) const;
  /// "no room in DIR" for ENOSPC and EDQUOT, else the error.
  [[nodiscard]] std::string explain(const Error& error) const;
  /// What was written is on the disk: these files, the manifest and the directory.
  Result<void> sync(const std::vector<std::string>& names) const;

 private:
  Result<void> open_manifest(int flags);

  std::string path_;
  Fd directory_;
  Fd file_;
  uint64_t end_ = 0;  // of the manifest
  Manifest manifest_;
};

/// The boot that this is; empty when the kernel does not tell.
std::string boot_id(const ProcRoot& proc);

}  // namespace ipcscope
