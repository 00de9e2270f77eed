// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/base/proc_root.h"

#include <sys/stat.h>

#include <algorithm>
#include <climits>
#include <cstdio>
#include <memory>

#include "collectors/base/parse.h"
#include "collectors/base/withheld.h"

namespace ipcscope {

namespace {

std::vector<std::string_view> withheld;

bool is_withheld(std::string_view path) {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  return std::find(withheld.begin(), withheld.end(), name) != withheld.end();
}

}  // namespace

void withhold_file(const char* name) { withheld.emplace_back(name); }

Result<ProcRoot> ProcRoot::open(const char* path) {
  Fd directory(::open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) {
    return system_failure(path);
  }
  return ProcRoot(std::move(directory));
}

Result<void> ProcRoot::read(const char* path, std::string& out) const {
  out.clear();
  if (!withheld.empty() && is_withheld(path)) {
    return system_failure(path, EACCES);
  }
  const Fd file(::openat(directory_.get(), path, O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!file) {
    return system_failure(path);
  }
  constexpr size_t chunk = 4096;
  size_t used = 0;
  while (true) {
    if (out.size() < used + chunk) {
      out.resize(used + (used < chunk ? chunk : used));
    }
    const ssize_t got = ::read(file.get(), out.data() + used, out.size() - used);
    if (got < 0) {
      if (errno == EINTR) {
        continue;
      }
      out.clear();
      return system_failure(path);
    }
    if (got == 0) {
      break;
    }
    used += static_cast<size_t>(got);
  }
  out.resize(used);
  return {};
}

Result<std::string> ProcRoot::read(const std::string& path) const {
  std::string text;
  if (Result<void> done = read(path.c_str(), text); !done) {
    return Failure(done.error());
  }
  return text;
}

Result<std::string> ProcRoot::link(const char* path) const {
  char target[PATH_MAX];
  const ssize_t length = ::readlinkat(directory_.get(), path, target, sizeof target);
  if (length < 0) {
    return system_failure(path);
  }
  return std::string(target, static_cast<size_t>(length));
}

Result<void> ProcRoot::list(const char* path, const std::function<bool(const char*)>& each) const {
  const int fd = ::openat(directory_.get(), path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) {
    return system_failure(path);
  }
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::fdopendir(fd), ::closedir);
  errno = 0;
  while (const dirent* entry = ::readdir(directory.get())) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != ".." && !each(entry->d_name)) {
      return {};
    }
    errno = 0;
  }
  if (errno != 0) {
    return system_failure(path);
  }
  return {};
}

Result<std::vector<int>> ProcRoot::numbers(const char* path) const {
  std::vector<int> found;
  Result<void> done = list(path, [&](const char* name) {
    if (const auto number = parse_number<int>(name)) {
      found.push_back(*number);
    }
    return true;
  });
  if (!done) {
    return Failure(done.error());
  }
  return found;
}

std::optional<unsigned> ProcRoot::namespace_id(int pid, const char* kind) const {
  char path[64];
  std::snprintf(path, sizeof path, "%d/ns/%s", pid, kind);
  const Result<std::string> target = link(path);
  if (!target) {
    return std::nullopt;
  }
  const size_t open = target->find('[');
  if (open == std::string::npos || target->back() != ']') {
    return std::nullopt;
  }
  return parse_number<unsigned>(
      std::string_view(*target).substr(open + 1, target->size() - open - 2));
}

}  // namespace ipcscope
