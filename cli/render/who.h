// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/render/terminal.h"
#include "cli/render/text.h"
#include "collectors/model/snapshot.h"

namespace ipcscope {

/// The processes of a channel, told apart by the direction that data takes.
struct Sides {
  std::vector<ProcessIndex> left;    ///< writers, the first end
  std::vector<ProcessIndex> right;   ///< readers, listeners, the other end
  std::vector<ProcessIndex> around;  ///< takes part without a direction
  enum class Arrow : uint8_t { none, one_way, both_ways } arrow = Arrow::none;
};

/// Says who is at a channel. Keeps a label for each process, so that a process with thousands of
/// channels is escaped once.
class Who {
 public:
  Who(const Snapshot& snapshot, EscapeStyle style);

  const Snapshot& snapshot() const { return snapshot_; }
  EscapeStyle style() const { return style_; }

  /// Valid until the next call.
  const Sides& sides(const Channel& channel);
  /// "nginx[812]"
  const std::string& label(ProcessIndex process);
  std::string label(const Thread& thread) const;

  /// Appends "a[1],b[2]+3", or all of them.
  void append_some(std::string& out, const std::vector<ProcessIndex>& processes);
  void append_all(std::string& out, const std::vector<ProcessIndex>& processes);
  /// Appends "a[1] -> b[2]".
  void append_who(std::string& out, const Channel& channel);
  /// The same without one process: what it talks to.
  void append_others(std::string& out, const Channel& channel, ProcessIndex except);
  /// Appends "redis[77] read 41s+2": the longest wait, and how many other threads wait.
  void append_waiting(std::string& out, const Channel& channel) const;
  /// The wait that has lasted longest; nothing when no thread waits.
  [[nodiscard]] const Wait* longest_wait(const Channel& channel) const;

 private:
  void add(std::vector<ProcessIndex>& to, unsigned side, ProcessIndex process);
  void append_side(std::string& out, const Channel& channel, bool left);

  const Snapshot& snapshot_;
  EscapeStyle style_;
  std::vector<std::string> labels_;
  Sides sides_;
  std::vector<uint32_t> seen_[3];  ///< by side and process: the channel that it was last added for
  uint32_t turn_ = 0;
};

}  // namespace ipcscope
