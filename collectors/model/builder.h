// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <array>
#include <string_view>
#include <unordered_map>

#include "collectors/model/snapshot.h"

namespace ipcscope {

/// Fills a Snapshot in any order; finish() puts it into the order that Snapshot promises.
class SnapshotBuilder {
 public:
  SnapshotBuilder();

  ChannelIndex add_channel(Kind kind, std::string_view id, std::string_view name = {});
  Channel& channel(ChannelIndex index) { return snapshot_.channels[index]; }
  /// The channel with this id, if it was added. Indexes the channels of that kind on first use.
  [[nodiscard]] ChannelIndex find_channel(std::string_view id);

  /// Makes room for what the open files of this many descriptors will need: memory that is not
  /// touched costs nothing, while growing step by step copies it all several times.
  void expect(size_t descriptors);

  void add_endpoint(const Endpoint& endpoint) { snapshot_.endpoints.push_back(endpoint); }
  /// thread must already be known, waits of one thread must come together.
  void add_wait(const Wait& wait) { snapshot_.waits.push_back(wait); }

  void unknown(ChannelIndex channel, const char* key);
  void boolean(ChannelIndex channel, const char* key, bool value);
  void integer(ChannelIndex channel, const char* key, int64_t value);
  /// UINT64_MAX becomes unknown.
  void natural(ChannelIndex channel, const char* key, uint64_t value);
  /// UINT32_MAX becomes unknown.
  void natural32(ChannelIndex channel, const char* key, uint32_t value);
  void text(ChannelIndex channel, const char* key, std::string_view value);
  /// value must be valid JSON.
  void json(ChannelIndex channel, const char* key, std::string_view value);

  std::string_view keep(std::string_view value) { return snapshot_.arena.keep(value); }
  Snapshot& snapshot() { return snapshot_; }
  Snapshot finish();

 private:
  Attribute& attribute(ChannelIndex channel, const char* key, Attribute::Type type);

  Snapshot snapshot_;
  /// Channels of one kind by their id, as far as they were looked at.
  struct IdIndex {
    std::unordered_map<std::string_view, ChannelIndex> channels;
    size_t indexed = 0;
  };
  std::array<IdIndex, kind_count> by_id_;
};

}  // namespace ipcscope
