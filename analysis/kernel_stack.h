// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ipcscope {

/// What a thread that sleeps in the kernel is at.
struct KernelStack {
  std::vector<std::string>
      functions;            ///< the innermost first, without those that only put to sleep
  std::string_view reason;  ///< "FUSE", "disk" ...; empty where no function tells
};

/// frames: "pipe_read+0x2e1" or "pipe_read", innermost first, as /proc/PID/stack has them.
KernelStack explain_kernel_stack(const std::vector<std::string>& frames);

}  // namespace ipcscope
