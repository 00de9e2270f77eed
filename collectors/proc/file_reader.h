// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string_view>

#include "collectors/base/fd.h"

namespace ipcscope {

/// Reads the many small files of /proc into one buffer that is used again.
class FileReader {
 public:
  /// The content, valid until the next call; error() tells why when it is empty.
  /// whole = false: one read is enough, which holds for files that the kernel writes in one go
  /// (single_open() in fs/proc: stat, status, sched, syscall, fdinfo), where it saves a call.
  std::string_view read(int directory, const char* path, bool whole = false) {
    error_ = 0;
    const Fd file(::openat(directory, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
    if (!file) {
      error_ = errno;
      return {};
    }
    size_t used = 0;
    while (true) {
      if (used == size_) {
        grow();
      }
      const ssize_t got = ::read(file.get(), buffer_.get() + used, size_ - used);
      if (got < 0) {
        if (errno == EINTR) {
          continue;
        }
        error_ = errno;
        return {};
      }
      used += static_cast<size_t>(got);
      if (got == 0 || (!whole && used < size_)) {
        return {buffer_.get(), used};
      }
    }
  }
  [[nodiscard]] int error() const { return error_; }

 private:
  void grow() {
    std::unique_ptr<char[]> larger(new char[size_ * 4]);
    std::copy(buffer_.get(), buffer_.get() + size_, larger.get());
    buffer_ = std::move(larger);
    size_ *= 4;
  }

  size_t size_ = size_t{8} << 10;
  std::unique_ptr<char[]> buffer_{new char[size_]};
  int error_ = 0;
};

}  // namespace ipcscope
