// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <string>

namespace ipcscope {

/// "read" for 0 on x86-64; "system call 999" where this build does not know the number.
std::string syscall_name(int64_t number);

}  // namespace ipcscope
