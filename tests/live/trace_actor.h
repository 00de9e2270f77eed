// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "collectors/base/fd.h"

namespace ipcscope::live {

/// One operation that was done, as its own process knows it.
struct Deed {
  std::string operation;
  std::string channel;  ///< the id that it has to have
  std::optional<uint64_t> bytes;
  int64_t result = 0;
};

/// A child process that uses one thing after the other when it is told to.
class Actor {
 public:
  /// program: what the child does; it returns what it did.
  explicit Actor(std::vector<Deed> (*program)());
  ~Actor();
  Actor(const Actor&) = delete;
  Actor& operator=(const Actor&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  /// Lets it begin, and waits until it has done all. It stays until this object ends.
  std::vector<Deed> act();

 private:
  pid_t pid_ = 0;
  Fd go_, told_;
};

/// Everything that `trace` knows, once or twice each.
std::vector<Deed> use_everything();

/// Submits to an io_uring: how often to a channel stands in bytes, by what in operation; as "all",
/// how much the kernel took, and of how much. Nothing where there is no io_uring.
std::vector<Deed> use_io_uring();

}  // namespace ipcscope::live
