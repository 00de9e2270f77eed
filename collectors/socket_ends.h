// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <vector>

#include "bpf/record.h"
#include "collectors/base/identity_map.h"
#include "collectors/mechanism.h"

namespace ipcscope {

/// The sockets of one family while they are being collected: each once, whoever has it open, and
/// all descriptors on it. They become channels when both ends are known.
template <typename End>
class SocketEnds {
 public:
  /// The end of a record's socket; is_new when this is its first descriptor.
  End& add(const file_record& file, const Assembly& assembly, bool& is_new) {
    uint32_t& slot = by_socket_.slot(file.object, is_new);
    if (is_new) {
      slot = static_cast<uint32_t>(ends_.size());
      ends_.emplace_back();
      ends_.back().inode = static_cast<uint32_t>(file.inode);
    }
    Endpoint holder;
    holder.channel = slot;  // the end for now; the channel is made later
    holder.process = assembly.process(file.head.pid);
    holder.fd = file.fd;
    holder.access = access_read | access_write;
    holder.inode = static_cast<uint32_t>(file.inode);
    holder.file = file.file;
    holders_.push_back(holder);
    return ends_[slot];
  }

  [[nodiscard]] std::vector<End>& all() { return ends_; }
  /// UINT32_MAX when no process has it.
  [[nodiscard]] uint32_t find(uint64_t socket) const { return by_socket_.find(socket); }

  /// The descriptors on an end, each as an endpoint without its channel and role.
  [[nodiscard]] std::vector<Endpoint> holders_of(uint32_t end) const {
    std::vector<Endpoint> found;
    for (const Endpoint& holder : holders_) {
      if (holder.channel == end) {
        found.push_back(holder);
      }
    }
    return found;
  }

  /// Gives every descriptor to the channel and in the role that its end has got.
  void add_endpoints(SnapshotBuilder& builder) {
    for (Endpoint holder : holders_) {
      const End& end = ends_[holder.channel];
      holder.channel = end.channel;
      holder.role = end.role;
      builder.add_endpoint(holder);
    }
  }

 private:
  std::vector<End> ends_;
  std::vector<Endpoint> holders_;
  IdentityMap by_socket_;
};

}  // namespace ipcscope
