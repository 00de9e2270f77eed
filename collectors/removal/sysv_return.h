// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "collectors/removal/family.h"

namespace ipcscope {

/// The calls of one System V kind that bringing an object back needs.
struct SysvCalls {
  const char* next_id = "";  ///< in /proc/sys: the identifier that the next new object gets
  std::function<std::optional<Target>(int id)> look;  ///< nothing when there is none
  /// Whether nobody but the attempt has used it since it was made.
  std::function<bool(int id, const Target& now, const Attempt& attempt)> untouched;
  std::function<int(uint32_t key, int flags)> get;  ///< an identifier, or -1 and errno
  std::function<Result<void>(int id)> fill;         ///< content, limits, owner and mode
  std::function<void(int id)> remove;
};

/// Restores a System V object: present when it is still there, what an interrupted attempt left
/// half done is made anew, and it is made without ever taking over an existing one.
Restored restore_sysv(const Return& what, const SysvCalls& calls);

/// Why a look at an object failed, as an outcome.
Outcome look_failed(int number);

}  // namespace ipcscope
