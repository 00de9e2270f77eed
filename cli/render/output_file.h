// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <memory>
#include <string>

#include "cli/render/output.h"
#include "collectors/base/fd.h"
#include "collectors/base/result.h"

namespace ipcscope {

/// A file that an option names for what would else go to the standard output.
class OutputFile {
 public:
  /// Opens or makes it, for the owner alone. What it holds stays until begin(): there may come
  /// nothing to put there. The error is one line for the user.
  static Result<OutputFile> open(const std::string& path);

  void begin();
  Output& out() { return *out_; }
  /// Writes what is left. Returns one line for the user when not all could be written, else
  /// nothing.
  std::string finish();
  /// That path leads to this very file.
  [[nodiscard]] bool is(const std::string& path) const;

 private:
  OutputFile(std::string path, Fd fd);
  std::string path_;
  Fd fd_;
  std::unique_ptr<Output> out_;
};

}  // namespace ipcscope
