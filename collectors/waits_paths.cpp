// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/waits_paths.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/limits.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstddef>

#include "collectors/base/parse.h"
#include "collectors/proc/fdinfo.h"

namespace ipcscope {

std::string clean_path(std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    const size_t end = std::min(path.find('/'), path.size());
    const std::string_view part = path.substr(0, end);
    path.remove_prefix(std::min(end + 1, path.size()));
    if (part == "..") {
      if (!parts.empty()) {
        parts.pop_back();
      }
    } else if (!part.empty() && part != ".") {
      parts.push_back(part);
    }
  }
  std::string clean;
  for (const std::string_view part : parts) {
    clean += '/';
    clean += part;
  }
  return clean.empty() ? "/" : clean;
}

ChannelIndex WaitPaths::lock(const Thread& thread, int32_t fd, Kind kind) {
  const Snapshot& snapshot = assembly_.builder.snapshot();
  if (!looked_for_locks_) {
    looked_for_locks_ = true;
    for (ChannelIndex i = 0; i < snapshot.channels.size(); i++) {
      const Channel& channel = snapshot.channels[i];
      if (channel.kind == Kind::flock || channel.kind == Kind::fcntl || channel.kind == Kind::ofd) {
        const Attribute* inode = snapshot.attribute(channel, "inode");
        const bool is_known = inode != nullptr && inode->type == Attribute::Type::natural;
        locks_.emplace(std::pair(channel.kind, is_known ? inode->natural : UNKNOWN_U64), i);
      }
    }
  }
  if (locks_.empty()) {
    return no_index;
  }
  // The thread may have a descriptor table of its own.
  const Result<std::string> text = assembly_.proc.read(fmt::format("{}/fdinfo/{}", thread.tid, fd));
  std::optional<uint64_t> inode;
  if (text) {
    if (const auto info = parse_fdinfo(*text)) {
      inode = info->inode;
    }
  }
  const Result<std::string> path =
      assembly_.proc.link(fmt::format("{}/fd/{}", thread.tid, fd).c_str());
  ChannelIndex only = no_index;
  size_t candidates = 0;
  for (const auto& [key, index] : locks_) {
    if (key.first != kind || (inode && key.second != UNKNOWN_U64 && key.second != *inode)) {
      continue;
    }
    if (path && snapshot.channels[index].name == *path) {
      return index;
    }
    only = index;
    candidates++;
  }
  // Another name of the same file: by its inode number, when no other file has it.
  return candidates == 1 && inode ? only : no_index;
}

std::string WaitPaths::path_of(const Thread& thread, int path_argument) {
  const auto path =
      memory_.read_string(thread.tid, thread.args[static_cast<size_t>(path_argument)], PATH_MAX);
  if (!path || path->empty()) {
    return {};
  }
  if (path->front() == '/') {
    return clean_path(*path);
  }
  const int directory = path_argument == 0
                            ? AT_FDCWD
                            : static_cast<int>(thread.args[static_cast<size_t>(path_argument) - 1]);
  const Result<std::string> base = assembly_.proc.link(
      directory == AT_FDCWD ? fmt::format("{}/cwd", thread.tid).c_str()
                            : fmt::format("{}/fd/{}", thread.tid, directory).c_str());
  return base && base->starts_with('/') ? clean_path(*base + "/" + *path) : std::string();
}

std::string WaitPaths::kernel_function(const Thread& thread) const {
  Result<std::string> name = assembly_.proc.read(fmt::format("{}/wchan", thread.tid));
  return name ? std::move(*name) : std::string();
}

ChannelIndex WaitPaths::add_fifo(const std::string& path, const Process& process) {
  if (!assembly_.request.wants(Kind::fifo)) {
    return no_index;
  }
  SnapshotBuilder& builder = assembly_.builder;
  const ChannelIndex index = builder.add_channel(Kind::fifo, "fifo:" + path, path);
  builder.channel(index).name_space = Assembly::foreign(process.mnt_ns, assembly_.own_mnt_ns);
  builder.unknown(index, "inode");
  builder.unknown(index, "packet_mode");
  for (const char* key : {"buffers_used", "buffers_max", "readers", "writers"}) {
    builder.unknown(index, key);
  }
  return index;
}

ChannelIndex WaitPaths::open(ThreadIndex waiter, int path_argument, bool is_open) {
  SnapshotBuilder& builder = assembly_.builder;
  const Thread& thread = builder.snapshot().threads[waiter];
  // Both waits can be interrupted (Linux 6.18 fs/locks.c __break_lease(), fs/pipe.c
  // wait_for_partner()), those of a network file system mostly cannot.
  if (thread.state != 'S') {
    return no_index;
  }
  const std::string path = path_of(thread, path_argument);
  if (path.empty()) {
    return no_index;
  }
  const std::string function = kernel_function(thread);
  const bool is_told = function.size() > 1;  // "0" when it may not be told
  if (!is_told || function.find("lease") != std::string::npos) {
    if (const ChannelIndex lease = builder.find_channel("lease:" + path); lease != no_index) {
      return lease;
    }
  }
  const bool at_fifo =
      function.starts_with("wait_for_partner") || function.starts_with("fifo_open");
  if (!is_open || (is_told && !at_fifo)) {
    return no_index;
  }
  ChannelIndex fifo = builder.find_channel("fifo:" + path);
  if (fifo == no_index && at_fifo) {
    fifo = add_fifo(path, assembly_.process_at(thread.process));
  }
  return fifo;
}

ChannelIndex WaitPaths::unix_address(const Thread& thread, uint64_t address, uint64_t size) {
  sockaddr_un name{};
  constexpr size_t head = offsetof(sockaddr_un, sun_path);
  if (address == 0 || size <= head || size > sizeof name ||
      !memory_.read(thread.tid, address, &name, size) || name.sun_family != AF_UNIX) {
    return no_index;
  }
  std::string text(name.sun_path, size - head);
  if (text.front() == '\0') {
    text.front() = '@';
  } else {
    text.resize(std::min(text.find('\0'), text.size()));
  }
  const Snapshot& snapshot = assembly_.builder.snapshot();
  if (!looked_for_names_) {
    looked_for_names_ = true;
    for (const Endpoint& endpoint : snapshot.endpoints) {
      const Channel& channel = snapshot.channels[endpoint.channel];
      if (channel.kind == Kind::unix_socket && !channel.name.empty() &&
          (endpoint.role == Role::listener || endpoint.role == Role::reader)) {
        names_.emplace(channel.name, endpoint.channel);
      }
    }
  }
  const uint32_t net_ns =
      Assembly::foreign(assembly_.process_at(thread.process).net_ns, assembly_.own_net_ns);
  ChannelIndex found = no_index;
  const auto [begin, end] = names_.equal_range(text);
  for (auto each = begin; each != end; ++each) {
    if (snapshot.channels[each->second].name_space == net_ns) {
      return each->second;
    }
    if (text.front() != '@') {  // abstract names are those of a network namespace
      found = each->second;
    }
  }
  return found;
}

}  // namespace ipcscope
