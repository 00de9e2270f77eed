// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/leftovers/lock_file.h"

#include "collectors/base/parse.h"

namespace ipcscope {

bool is_lock_file_name(std::string_view name) {
  return name.ends_with(".pid") || name.ends_with(".lock") || name.starts_with("LCK..") ||
         (name.starts_with(".X") && name.ends_with("-lock"));
}

int32_t parse_lock_pid(std::string_view text) {
  constexpr int32_t pid_max = 4194304;  // PID_MAX_LIMIT in include/linux/threads.h
  constexpr std::string_view blanks(" \t\r\n\0", 5);
  const auto pid = parse_number<int32_t>(next_word(text, blanks));
  return pid && *pid > 0 && *pid <= pid_max ? *pid : 0;
}

}  // namespace ipcscope
