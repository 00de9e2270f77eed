// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/descriptor_ends.h"

namespace ipcscope {

namespace {

bool is_lock(Kind kind) {
  return kind == Kind::flock || kind == Kind::fcntl || kind == Kind::ofd || kind == Kind::lease;
}

/// How well a role fits, 1 to 3.
uint8_t fit(Role role, bool to_write) {
  switch (role) {
    case Role::reader:
    case Role::listener:
      return to_write ? 1 : 3;
    case Role::writer:
      return to_write ? 3 : 1;
    default:
      return 2;
  }
}

}  // namespace

uint32_t DescriptorEnds::watch(ProcessIndex process, int32_t fd) {
  bool is_new = false;
  uint32_t& index = by_descriptor_.slot(key(process, fd), is_new);
  if (is_new) {
    index = static_cast<uint32_t>(ends_.size());
    ends_.emplace_back();
    if (process >= masks_.size()) {
      masks_.resize(process + 1, 0);
    }
    masks_[process] |= uint64_t{1} << (static_cast<uint32_t>(fd) % 64);
  }
  return index;
}

void DescriptorEnds::resolve(const Snapshot& snapshot) {
  if (ends_.empty()) {
    return;
  }
  for (const Endpoint& endpoint : snapshot.endpoints) {
    if (endpoint.fd < 0 || endpoint.process >= masks_.size() ||
        (masks_[endpoint.process] >> (static_cast<uint32_t>(endpoint.fd) % 64) & 1) == 0) {
      continue;
    }
    const uint32_t index = by_descriptor_.find(key(endpoint.process, endpoint.fd));
    if (index == UINT32_MAX || is_lock(snapshot.channels[endpoint.channel].kind)) {
      continue;  // who holds a lock on a file does not wait there when it reads the file
    }
    Ends& ends = ends_[index];
    if (const uint8_t read = fit(endpoint.role, false); read > ends.read_fit) {
      ends.read_fit = read;
      ends.read = {endpoint.channel, endpoint.inode};
    }
    if (const uint8_t write = fit(endpoint.role, true); write > ends.write_fit) {
      ends.write_fit = write;
      ends.write = {endpoint.channel, endpoint.inode};
    }
  }
}

}  // namespace ipcscope
