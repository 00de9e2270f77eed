// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "collectors/base/result.h"

namespace ipcscope {

/// What a child wrote, and whether it came to its end in time: when it did not, bytes is what it
/// had written until then.
struct ChildOutput {
  std::string bytes;
  bool complete = false;
};

/// Runs work(out) in a forked child and collects what it writes to the descriptor out. For what has
/// to be done in other namespaces: the caller's own never change. A child that hangs is killed at
/// the limit, one that dies is noticed, and none stays behind as a zombie. Fails only when no child
/// could be started.
Result<ChildOutput> run_in_child(const std::function<void(int out)>& work,
                                 std::chrono::milliseconds limit);

/// Writes all of bytes to a pipe; false when the other side is gone.
bool write_all(int out, std::string_view bytes);

}  // namespace ipcscope
