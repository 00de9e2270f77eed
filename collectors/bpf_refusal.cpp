// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/bpf_refusal.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>

#include "collectors/base/fd.h"

namespace ipcscope {

bool is_kernel_memory_locked() {
  const Fd file(::open("/sys/kernel/security/lockdown", O_RDONLY | O_CLOEXEC));
  std::array<char, 128> text{};
  const ssize_t size = file ? ::read(file.get(), text.data(), text.size()) : -1;
  return size > 0 &&
         std::string_view(text.data(), static_cast<size_t>(size)).find("[confidentiality]") !=
             std::string_view::npos;
}

std::string remedy_of_refusal(int error) {
  if (is_kernel_memory_locked()) {
    return "lockdown=confidentiality forbids to read kernel memory: boot with lockdown=integrity "
           "or none";
  }
  switch (error) {
    case EPERM:
    case EACCES:
      return "run as root, or with CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE";
    case ESRCH:
    case ENOENT:
      return "needs a kernel with CONFIG_DEBUG_INFO_BTF, or its types with --btf";
    default:
      return "needs a newer kernel";
  }
}

std::string advice_after(const Error& error) {
  const std::string remedy = error.code ? remedy_of_refusal(error.code.value()) + "; " : "";
  return remedy + "'ipcscope doctor' tells more";
}

}  // namespace ipcscope
