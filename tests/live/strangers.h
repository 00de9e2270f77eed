// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <sys/types.h>

#include <array>
#include <functional>
#include <string>
#include <vector>

#include "collectors/base/fd.h"

namespace ipcscope::live {

/// What a process does, given a socket that leads to the other one for so long.
using Act = std::function<void(int link)>;

/// Two processes without anything in common but what they make: the second one's parent has ended,
/// and neither has a file of this process but /dev/null and a pipe that tells its end.
class Strangers {
 public:
  Strangers(const Act& first, const Act& second);
  ~Strangers();
  Strangers(const Strangers&) = delete;
  Strangers& operator=(const Strangers&) = delete;
  /// Of the first and the second; 0 for one that could not do its part.
  [[nodiscard]] const std::array<int, 2>& pids() const { return pids_; }

 private:
  std::array<int, 2> pids_{};
  std::array<Fd, 2> lives_;  ///< a process ends when this closes
  pid_t child_ = 0;
};

struct StrangerScene {
  const char* name;
  Act first, second;
  bool second_has_end = true;  ///< a channel of the first one has an end at the second
};

/// Scenes in which a count of references could be taken for another; all names in the file system
/// contain this process's id, and are removed by remove_leftovers().
std::vector<StrangerScene> stranger_scenes();
void remove_leftovers();

}  // namespace ipcscope::live
