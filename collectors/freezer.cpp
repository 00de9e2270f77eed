// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/freezer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "collectors/base/parse.h"

namespace ipcscope {

namespace {

std::string read_small(const std::string& path) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  char bytes[512];
  const ssize_t size = file.get() < 0 ? -1 : ::read(file.get(), bytes, sizeof bytes);
  return size <= 0 ? std::string() : std::string(bytes, static_cast<size_t>(size));
}

}  // namespace

Freezer::Freezer(const ProcRoot& proc, std::string groups)
    : proc_(proc), groups_(std::move(groups)) {}

bool Freezer::is_group_frozen(const std::string& path, const char* file, std::string_view mark) {
  const auto [found, is_new] = known_.try_emplace(path, false);
  if (is_new) {
    const std::string text = read_small(groups_ + path + "/" + file);
    std::string_view left = text;
    while (!left.empty()) {
      found->second = found->second || next_line(left) == mark;
    }
  }
  return found->second;
}

bool Freezer::is_frozen(int pid) {
  const Result<std::string> text = proc_.read(fmt::format("{}/cgroup", pid));
  std::string_view left = text ? std::string_view(*text) : std::string_view();
  while (!left.empty()) {
    // "0::/system.slice/x.service" of v2, "7:freezer:/x" of v1
    const std::string_view line = next_line(left);
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (first == std::string_view::npos || second == std::string_view::npos) {
      continue;
    }
    const std::string_view controllers = line.substr(first + 1, second - first - 1);
    const std::string path(line.substr(second + 1));
    // Where both versions are mounted, v2 is below "unified".
    if (controllers.empty() && (is_group_frozen(path, "cgroup.events", "frozen 1") ||
                                is_group_frozen("/unified" + path, "cgroup.events", "frozen 1"))) {
      return true;
    }
    if (controllers == "freezer" && is_group_frozen("/freezer" + path, "freezer.state", "FROZEN")) {
      return true;
    }
  }
  return false;
}

}  // namespace ipcscope
