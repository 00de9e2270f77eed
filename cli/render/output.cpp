// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/render/output.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>

namespace ipcscope {

Output::Output(int fd) : fd_(fd), buffer_(new char[capacity]) {}

void Output::number(uint64_t value) {
  const fmt::format_int text(value);
  write({text.data(), text.size()});
}

void Output::number(int64_t value) {
  const fmt::format_int text(value);
  write({text.data(), text.size()});
}

void Output::write_large(std::string_view text) {
  flush();
  if (text.size() > capacity) {
    write_out(text);
  } else {
    write(text);
  }
}

void Output::write_out(std::string_view text) {
  if (memory_ != nullptr) {
    memory_->append(text);
    return;
  }
  while (!text.empty() && error_ == 0) {
    const ssize_t done = ::write(fd_, text.data(), text.size());
    if (done >= 0) {
      text.remove_prefix(static_cast<size_t>(done));
    } else if (errno == EAGAIN) {
      // Somebody who shares the descriptor made it non-blocking.
      pollfd ready = {.fd = fd_, .events = POLLOUT, .revents = 0};
      ::poll(&ready, 1, -1);
    } else if (errno != EINTR) {
      error_ = errno;
    }
  }
}

void Output::flush() {
  const size_t size = used_;
  used_ = 0;
  write_out({buffer_.get(), size});
}

void Output::close() {
  flush();
  if (fd_ >= 0 && ::close(fd_) != 0 && error_ == 0) {
    error_ = errno;
  }
  fd_ = -1;
}

}  // namespace ipcscope
