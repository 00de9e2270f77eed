// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/described_files.h"

#include <fmt/format.h>

namespace ipcscope {

namespace {

constexpr uint32_t in_flight = UINT32_MAX;

}  // namespace

std::string DescribedFiles::id(const Holder& holder) const {
  if (holder.fd == in_flight) {
    // The index of the channel only keeps them apart.
    return fmt::format("{}:{}:queued{}", kind_name(kind_), holder.pid, holder.channel);
  }
  return fmt::format("{}:{}:{}", kind_name(kind_), holder.pid, holder.fd);
}

ChannelIndex DescribedFiles::take(const file_record& file, Assembly& assembly, bool& is_new) {
  uint32_t& index = by_file_.slot(file.file, is_new);
  const uint32_t pid = file.head.pid;
  const uint32_t fd = file.fd < 0 ? in_flight : static_cast<uint32_t>(file.fd);
  SnapshotBuilder& builder = assembly.builder;
  if (is_new) {
    index = static_cast<uint32_t>(holders_.size());
    Holder& holder = holders_.emplace_back();
    holder.channel = static_cast<ChannelIndex>(builder.snapshot().channels.size());
    holder.pid = pid;
    holder.fd = fd;
    builder.add_channel(kind_, id(holder));
    builder.channel(holder.channel).uid = known32(file.uid);
  } else {
    // The first to come is nearly always the lowest; ids have to be right before any finish().
    Holder& holder = holders_[index];
    const bool reachable_before = holder.fd != in_flight;
    const bool reachable = fd != in_flight;
    if (reachable != reachable_before ? reachable
                                      : pid < holder.pid || (pid == holder.pid && fd < holder.fd)) {
      holder.pid = pid;
      holder.fd = fd;
      builder.channel(holder.channel).id = builder.keep(id(holder));
    }
  }
  const ChannelIndex channel = holders_[index].channel;
  assembly.add_endpoint(channel, file, Role::opener);
  return channel;
}

}  // namespace ipcscope
