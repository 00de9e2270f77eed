// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/render/output_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/render/escape.h"

namespace ipcscope {

OutputFile::OutputFile(std::string path, Fd fd)
    : path_(std::move(path)), fd_(std::move(fd)), out_(std::make_unique<Output>(fd_.get())) {}

Result<OutputFile> OutputFile::open(const std::string& path) {
  Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  if (!fd) {
    return system_failure(fmt::format("cannot write '{}'", escaped(path, {})));
  }
  return OutputFile(path, std::move(fd));
}

void OutputFile::begin() {
  // Fails where there is nothing to cut off: a pipe, a device.
  (void)!::ftruncate(fd_.get(), 0);
}

std::string OutputFile::finish() {
  (void)fd_.release();  // what follows closes it
  out_->close();
  return out_->error() == 0
             ? std::string()
             : fmt::format("cannot write '{}': {}", escaped(path_, {}), ::strerror(out_->error()));
}

bool OutputFile::is(const std::string& path) const {
  struct stat own {};
  struct stat other {};
  return ::fstat(fd_.get(), &own) == 0 && ::stat(path.c_str(), &other) == 0 &&
         own.st_dev == other.st_dev && own.st_ino == other.st_ino;
}

}  // namespace ipcscope
