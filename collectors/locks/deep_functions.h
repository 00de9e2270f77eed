// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "collectors/base/result.h"
#include "collectors/locks/lock_program.h"

namespace ipcscope {

/// A place in a library at which a function for locks is to be probed.
struct DeepFunction {
  std::string name;
  deep_sort sort = DEEP_MUTEX_LOCK;
  uint64_t offset = 0;  ///< in the file
  bool emulated = false;
};

/// glibc's functions in an open ELF file. library: it is glibc, and its default versions are taken;
/// else it is a program that may be linked with glibc statically. Empty when it has none. Fails
/// when it is no ELF file.
Result<std::vector<DeepFunction>> find_deep_functions(int file, bool library);

}  // namespace ipcscope
