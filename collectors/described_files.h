// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <vector>

#include "collectors/base/identity_map.h"
#include "collectors/mechanism.h"

namespace ipcscope {

/// The channels of one kind of anonymous file. All of them share one inode, so each is called after
/// the lowest process and descriptor that has it: "timerfd:4711:5".
class DescribedFiles {
 public:
  explicit DescribedFiles(Kind kind) : kind_(kind) {}

  /// The channel of the file's open description, with its process as an opener. is_new: the caller
  /// has to add its attributes.
  ChannelIndex take(const file_record& file, Assembly& assembly, bool& is_new);

 private:
  struct Holder {
    ChannelIndex channel = no_index;
    uint32_t pid = 0;
    uint32_t fd = 0;  ///< above all others for a file that only sits in a socket's queue
  };
  [[nodiscard]] std::string id(const Holder& holder) const;

  Kind kind_;
  IdentityMap by_file_;
  std::vector<Holder> holders_;
};

}  // namespace ipcscope
