// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/version.h"

#include <bpf/libbpf.h>
#include <fmt/format.h>

namespace ipcscope {

namespace {

#if defined(__clang__)
constexpr const char* compiler = "clang " __clang_version__;
#else
constexpr const char* compiler = "g++ " __VERSION__;
#endif
#if defined(__SANITIZE_ADDRESS__)
constexpr const char* sanitizers = ", sanitizers";
#else
constexpr const char* sanitizers = "";
#endif

}  // namespace

std::string version_text() {
  // libbpf says "v1.1".
  const std::string_view libbpf = ::libbpf_version_string();
  return fmt::format("ipcscope {}\nlibbpf {} ({})\nbuilt as {} with {}{}, fmt {}.{}.{}\n",
                     IPCSCOPE_VERSION, libbpf.substr(libbpf.starts_with('v') ? 1 : 0),
                     IPCSCOPE_LIBBPF_LINK, IPCSCOPE_BUILD_TYPE, compiler, sanitizers,
                     FMT_VERSION / 10000, FMT_VERSION / 100 % 100, FMT_VERSION % 100);
}

}  // namespace ipcscope
