// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <string_view>

namespace ipcscope {

/// Names of files that say which process has something: PID files (*.pid), lock files (*.lock),
/// those of X servers (.X0-lock; xorg-server os/utils.c, LockServer) and of serial lines
/// (LCK..ttyS0; FHS 3.0, 5.9 /var/lock).
bool is_lock_file_name(std::string_view name);

/// The process that the beginning of such a file names: a number alone at its front, after blanks
/// (FHS 3.0, 5.9 and 5.13); 0 when it names none.
int32_t parse_lock_pid(std::string_view text);

/// How much of it is enough.
constexpr size_t lock_file_bytes = 64;

}  // namespace ipcscope
