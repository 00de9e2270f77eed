// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "bpf/layout.h"
#include "collectors/base/result.h"

namespace ipcscope {

/// Where the running kernel keeps what bpf/layout.h names; fails when the kernel shows no BTF.
/// What it does not have is absent.
Result<kernel_layout> read_kernel_layout();

/// Takes the types from a file from now on, here and in libbpf: BTF as in /sys/kernel/btf/vmlinux,
/// or an ELF file with it. Modules' types are not looked at then. Fails for what is no kernel's
/// BTF; whether it is that of this kernel cannot be told.
Result<void> use_kernel_types(const std::string& path);

/// As if the kernel had none of its own.
void do_without_kernel_types();

/// The same from BTF in memory: that of vmlinux, and those of modules that build upon it.
/// Nothing is found in what is malformed.
kernel_layout find_kernel_layout(std::span<const std::byte> vmlinux,
                                 const std::vector<std::span<const std::byte>>& modules);

}  // namespace ipcscope
