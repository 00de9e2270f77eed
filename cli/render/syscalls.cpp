// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/render/syscalls.h"

#include <fmt/format.h>
#include <sys/syscall.h>

namespace ipcscope {

std::string syscall_name(int64_t number) {
  switch (number) {
#define SYSCALL(name) \
  case SYS_##name:    \
    return #name;
// Made by CMake from the headers of this architecture.
#include "syscall_list.h"
#undef SYSCALL
    default:
      return fmt::format("system call {}", number);
  }
}

}  // namespace ipcscope
