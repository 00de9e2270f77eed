// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "bpf/layout.h"
#include "collectors/base/result.h"

namespace ipcscope {

/// Where the running kernel keeps what bpf/layout.h names; fails when the kernel has no BTF.
/// What it does not have is absent.
Result<kernel_layout> read_kernel_layout();

/// The same from BTF in memory: that of vmlinux, and those of modules that build upon it.
/// Nothing is found in what is malformed.
kernel_layout find_kernel_layout(std::span<const std::byte> vmlinux,
                                 const std::vector<std::span<const std::byte>>& modules);

}  // namespace ipcscope
