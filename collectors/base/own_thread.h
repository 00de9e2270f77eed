// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <system_error>
#include <thread>

namespace ipcscope {

/// Runs work in a thread of its own and waits for it. Namespaces belong to a thread: work may
/// change them with setns() and unshare(), and the caller's stay as they are. Not for what may
/// hang, for a thread cannot be killed: that is what run_in_child() is for. Returns 0, or the errno
/// why there is no thread (EAGAIN: a limit of processes).
template <typename Work>
int run_in_own_thread(const Work& work) {
  try {
    std::thread(work).join();
  } catch (const std::system_error& error) {
    return error.code().value();
  }
  return 0;
}

}  // namespace ipcscope
