// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <vector>

#include "collectors/base/identity_map.h"
#include "collectors/model/snapshot.h"

namespace ipcscope {

/// Finds the channels behind some descriptors of some processes in one pass over all endpoints:
/// first watch() what is wanted, then resolve(), then ask.
class DescriptorEnds {
 public:
  struct End {
    ChannelIndex channel = no_index;  ///< no_index: nothing that is a channel
    uint32_t inode = 0;               ///< of a socket
  };

  /// The number under which end() knows the descriptor.
  uint32_t watch(ProcessIndex process, int32_t fd);
  void resolve(const Snapshot& snapshot);
  /// A descriptor can have several roles: the one from which a thread reads, or to which it writes.
  [[nodiscard]] const End& end(uint32_t watched, bool to_write) const {
    return to_write ? ends_[watched].write : ends_[watched].read;
  }

 private:
  struct Ends {
    End read, write;
    uint8_t read_fit = 0, write_fit = 0;
  };
  static uint64_t key(ProcessIndex process, int32_t fd) {
    return (uint64_t{process} << 32 | static_cast<uint32_t>(fd)) + 1;
  }

  IdentityMap by_descriptor_;
  std::vector<Ends> ends_;
  /// By process, bit fd % 64 of each watched descriptor: most endpoints are turned away by it.
  std::vector<uint64_t> masks_;
};

}  // namespace ipcscope
