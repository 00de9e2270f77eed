// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "cli/top/channel_row.h"
#include "cli/top/frame.h"
#include "cli/top/rows.h"

namespace ipcscope {

/// revision: not 0, and another one for each snapshot.
std::shared_ptr<const WholeRows> make_whole_rows(std::shared_ptr<const Sight> sight,
                                                 uint64_t revision);
/// The channels of a look at some processes which are not as whole has them.
std::shared_ptr<const LookRows> make_look_rows(const WholeRows& whole,
                                               std::shared_ptr<const Sight> look);

/// The channels of a frame: those of the whole snapshot by their index there, then those that are
/// younger than it.
class ChannelTable {
 public:
  /// frame has to live as long. changes: else all are as the whole snapshot alone tells.
  explicit ChannelTable(const TopFrame& frame, bool changes = true);

  [[nodiscard]] size_t size() const { return whole_.rows.size() + young_.size(); }
  [[nodiscard]] ChannelRow row(size_t index) const;
  /// Where the row's depth and waits are from.
  [[nodiscard]] ChannelPlace place(size_t index) const;
  /// Where its ends are from: of the whole host where it is old enough. Nowhere when it was only
  /// seen at work.
  [[nodiscard]] ChannelPlace ends(size_t index) const;
  [[nodiscard]] const ChannelActivity* activity(size_t index) const;
  [[nodiscard]] std::string_view id(size_t index) const;
  [[nodiscard]] Kind kind(size_t index) const;
  /// no_index when there is none.
  [[nodiscard]] uint32_t find(std::string_view id) const;
  /// Those that are not as in the whole snapshot.
  [[nodiscard]] std::vector<uint32_t> changing() const;
  /// Whether what is done at channels was counted.
  [[nodiscard]] bool is_measured() const { return frame_.activity != nullptr; }

 private:
  struct Change {
    ChannelRow row;
    const Snapshot* seen = nullptr;  ///< where row.channel is; null: nowhere
  };

  void add_look(const LookRows& look);
  void add_activity(uint32_t index);
  [[nodiscard]] const Change* change(size_t index) const;
  Change& change_of(std::string_view id);

  const TopFrame& frame_;
  const WholeRows& whole_;
  std::unordered_map<uint32_t, Change> changed_;  ///< by index in the whole
  std::vector<Change> young_;
  std::unordered_map<std::string_view, uint32_t> young_ids_;  ///< into young_
};

/// Whether what is done at such a channel is counted. Memory is used without any call.
bool has_rates(Kind kind);

std::span<const RowColumn> channel_columns();
std::unique_ptr<Rows> make_channel_rows(const TopFrame& frame, EscapeStyle style);

}  // namespace ipcscope
