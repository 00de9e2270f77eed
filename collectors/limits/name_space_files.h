// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "collectors/base/proc_root.h"
#include "collectors/name_spaces.h"

namespace ipcscope {

/// Some files of /proc as one namespace shows them, in the order in which they were asked for;
/// empty those that could not be read.
struct NameSpaceFiles {
  uint32_t name_space = 0;  ///< inode number; 0: ipcscope's own
  int32_t pid = 0;          ///< of a process there
  std::vector<std::string> texts;
};

struct NameSpaceReading {
  std::vector<NameSpaceFiles> found;  ///< ipcscope's own first, then the others that could be read
  std::vector<std::string> problems;  ///< why others could not, one each
};

/// More about the namespace that the calling thread is in, as text.
using ReadMore = std::function<std::string()>;

/// Reads them in ipcscope's own namespace, and in a child in each of the others. kind is the name
/// in /proc/PID/ns. more, where given, is one more text.
NameSpaceReading read_in_name_spaces(const ProcRoot& proc, const std::vector<NameSpace>& others,
                                     const char* kind, std::span<const char* const> paths,
                                     const ReadMore& more = {});

/// What coverage says of those that could not be read.
Coverage cover_name_spaces(const char* source, const char* noun, const NameSpaceReading& reading);

}  // namespace ipcscope
