// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/trace/live_names.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "collectors/base/parse.h"
#include "collectors/inet_name.h"
#include "collectors/name_spaces.h"
#include "collectors/shmem_type.h"

namespace ipcscope {

namespace {

constexpr std::string_view shm_path = "/dev/shm/";

/// What the directory calls it, or a part of it where it is long.
std::string_view entry_name(const trace_channel_record& record) {
  const std::string_view name(record.name, std::min<size_t>(record.name_length, TRACE_NAME_MAX));
  return name.substr(0, name.find('\0'));
}

}  // namespace

std::string inet_id(std::string_view kind, const trace_inet& inet, std::string_view suffix) {
  InetName local = make_inet_name(inet.local, inet.local_port, inet.family);
  InetName remote = make_inet_name(inet.remote, inet.remote_port, inet.family);
  if (!remote.empty() && is_within_host(local, remote) && remote < local) {
    std::swap(local, remote);
  }
  std::string id(kind);
  id += ':';
  append_inet_name(id, local, inet.family);
  if (!remote.empty()) {
    id += '-';
    append_inet_name(id, remote, inet.family);
  }
  id += suffix;
  return id;
}

LiveTraceNames::LiveTraceNames(const ProcRoot& proc)
    : proc_(proc),
      own_ipc_ns_(proc.namespace_id(::getpid(), "ipc").value_or(0)),
      own_net_ns_(proc.namespace_id(::getpid(), "net").value_or(0)) {}

/// Where a descriptor leads, if it is still the same file: the number of an inode may have been
/// given to another one meanwhile, so the last component has to agree, too.
std::string LiveTraceNames::descriptor_path(const trace_channel_record& record, int32_t pid,
                                            int32_t fd) const {
  const std::string link = fmt::format("{}/fd/{}", pid, fd);
  struct statx status {};
  if (::statx(proc_.descriptor(), link.c_str(), AT_STATX_DONT_SYNC, STATX_INO, &status) != 0 ||
      status.stx_ino != record.number) {
    return {};
  }
  std::string found = proc_.link(link.c_str()).value_or(std::string());
  const std::string_view name =
      std::string_view(found).substr(found.find_last_of('/') + 1);  // npos + 1 is 0
  return name.starts_with(entry_name(record)) ? found : std::string();
}

/// The path of a file that a process has open, best under the descriptor that was seen; a shell has
/// moved it to another one by now.
std::string LiveTraceNames::path(const trace_channel_record& record, int32_t pid) const {
  if (pid <= 0) {
    return {};
  }
  if (record.fd >= 0) {
    if (std::string found = descriptor_path(record, pid, record.fd); !found.empty()) {
      return found;
    }
  }
  constexpr size_t most = 256;
  const auto all = proc_.numbers(fmt::format("{}/fd", pid).c_str()).value_or(std::vector<int>());
  for (size_t i = 0; i < std::min(all.size(), most); i++) {
    if (std::string found = descriptor_path(record, pid, all[i]); !found.empty()) {
      return found;
    }
  }
  return {};
}

/// What is in /dev/shm under this inode: sem_open() makes a semaphore under another name, which is
/// the one that the kernel keeps telling.
std::string LiveTraceNames::shm_entry(uint64_t inode) const {
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir("/dev/shm"), ::closedir);
  if (!directory) {
    return {};
  }
  while (const dirent* entry = ::readdir(directory.get())) {
    if (entry->d_ino == inode) {
      return entry->d_name;
    }
  }
  return {};
}

TraceName LiveTraceNames::shm_name(const trace_channel_record& record) const {
  const std::string listed = shm_entry(record.number);
  const std::string_view shown = listed.empty() ? entry_name(record) : listed;
  const bool semaphore = shown.starts_with("sem.");
  const uint8_t kind = semaphore ? TRACE_POSIXSEM : TRACE_POSIXSHM;
  std::string id = fmt::format("{}:/{}", trace_word(kind), semaphore ? shown.substr(4) : shown);
  if (record.unlinked != 0) {
    id += fmt::format("#{}", record.number);
  }
  return {std::move(id), kind};
}

TraceName LiveTraceNames::name(const trace_channel_record& record, int32_t pid) {
  const auto kind = static_cast<uint8_t>(record.channel_kind);
  const std::string_view word = trace_word(kind);
  const auto foreign = [](uint32_t name_space, uint32_t own) {
    return name_space == 0 || own == 0 || name_space == own ? std::string()
                                                            : fmt::format("@{}", name_space);
  };
  switch (kind) {
    case TRACE_UNIX: {
      uint64_t inode = record.number;
      const uint64_t peer = record.unix_end.peer_inode;
      if (peer != 0) {
        const bool sends_elsewhere = record.unix_end.type == SOCK_DGRAM &&
                                     record.unix_end.mutual == 0 && record.name_length == 0;
        if (sends_elsewhere) {
          inode = peer;
        } else if (record.unix_end.mutual != 0) {
          inode = std::min(inode, peer);
        }
      }
      return {fmt::format("unix:{}", inode), kind};
    }
    case TRACE_TCP:
    case TRACE_UDP:
      return {inet_id(word, record.inet, foreign(record.inet.net_ns, own_net_ns_)), kind};
    case TRACE_SHM:
    case TRACE_SEM:
    case TRACE_MSG:
      return {fmt::format("{}:{}{}", word, record.number, foreign(record.name_space, own_ipc_ns_)),
              kind};
    case TRACE_MQ: {
      if (record.name_length >= TRACE_NAME_MAX) {  // the rest of it was cut off
        if (const std::string found = path(record, pid); !found.empty()) {
          return {"mq:" + found, kind};
        }
      }
      std::string_view name = entry_name(record);
      name.remove_prefix(name.starts_with('/') ? 1 : 0);
      return {fmt::format("mq:/{}", name), kind};
    }
    case TRACE_POSIXSHM:
    case TRACE_POSIXSEM: {
      std::string_view name = entry_name(record);
      if (name.starts_with(shm_path)) {  // a path that was removed
        name.remove_prefix(shm_path.size());
        const bool semaphore = kind == TRACE_POSIXSEM;
        return {fmt::format("{}:/{}", word, semaphore ? name.substr(4) : name), kind};
      }
      return shm_name(record);
    }
    case TRACE_MEMFD: {
      std::string_view name = entry_name(record);
      name.remove_prefix(name.starts_with("memfd:") ? 6 : 0);
      return {fmt::format("memfd:{}#{}", name, record.number), kind};
    }
    case TRACE_FIFO: {
      const std::string found = path(record, pid);
      return {found.empty() ? fmt::format("fifo:{}#{}", entry_name(record), record.number)
                            : "fifo:" + found,
              kind, !found.empty()};
    }
    case TRACE_FLOCK:
    case TRACE_FCNTL:
    case TRACE_OFD:
    case TRACE_LEASE: {
      const std::string found = path(record, pid);
      if (found.empty()) {
        return {fmt::format("{}:{}#{}:{}", word, entry_name(record), device_text(record.device),
                            record.number),
                kind, false};
      }
      const bool unlinked = found.ends_with(deleted_suffix);
      return {fmt::format("{}:{}{}", word, without_deleted(found, unlinked),
                          unlinked ? fmt::format("#{}", record.number) : std::string()),
              kind};
    }
    case TRACE_EPOLL:
    case TRACE_SIGNALFD:
    case TRACE_TIMERFD:
    case TRACE_INOTIFY:
    case TRACE_IO_URING:
      return {fmt::format("{}:{}:{}", word, pid, record.fd), kind};
    default:
      return {fmt::format("{}:{}", word, record.number), kind};
  }
}

void LiveTraceNames::read_mappings(int32_t pid) {
  std::vector<Mapping>& mappings = mappings_[pid];
  mappings.clear();
  const Result<std::string> maps = proc_.read(fmt::format("{}/maps", pid));
  if (!maps) {
    return;
  }
  std::string_view left = *maps;
  while (!left.empty()) {
    // start-end rwxp offset major:minor inode path
    const std::string line(next_line(left));
    Mapping mapping;
    char mode[8] = {};
    int path_at = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx %7s %lx %*s %lu %n", &mapping.start, &mapping.end, mode,
                    &mapping.offset, &mapping.inode, &path_at) < 5 ||
        mode[3] != 's') {
      continue;
    }
    mapping.path = line.substr(static_cast<size_t>(path_at));
    mappings.push_back(std::move(mapping));
  }
}

const LiveTraceNames::Mapping* LiveTraceNames::find_mapping(int32_t pid, uint64_t address) {
  for (const bool again : {false, true}) {
    if (again || mappings_.find(pid) == mappings_.end()) {
      read_mappings(pid);
    }
    for (const Mapping& mapping : mappings_[pid]) {
      if (address >= mapping.start && address < mapping.end) {
        return &mapping;
      }
    }
  }
  return nullptr;
}

TraceName LiveTraceNames::futex(int32_t pid, uint64_t address, bool is_private) {
  const Mapping* mapping = is_private || pid <= 0 ? nullptr : find_mapping(pid, address);
  if (mapping == nullptr) {
    return {fmt::format("futex:{}:0x{:x}", pid, address), TRACE_FUTEX};
  }
  const uint64_t offset = mapping->offset + (address - mapping->start);
  const bool deleted = mapping->path.ends_with(deleted_suffix);
  const std::string_view path = without_deleted(mapping->path, deleted);
  std::string object;
  if (path.starts_with(shm_path)) {
    const std::string listed = shm_entry(mapping->inode);
    if (listed.starts_with("sem.") && offset == 0) {
      return {fmt::format("posixsem:/{}", listed.substr(4)), TRACE_POSIXSEM};
    }
    object = !listed.empty() ? std::string(shm_path) + listed
             : deleted       ? fmt::format("{}#{}", path, mapping->inode)
                             : std::string(path);
  } else if (path.starts_with("/SYSV")) {
    object = fmt::format("shm:{}", mapping->inode);
  } else if (path.starts_with("/dev/zero") && deleted) {
    object = fmt::format("anon#{}", mapping->inode);
  } else if (path.starts_with("/memfd:")) {
    object = fmt::format("{}#{}", path.substr(1), mapping->inode);
  } else {
    object = deleted ? fmt::format("{}#{}", path, mapping->inode) : std::string(path);
  }
  return {fmt::format("futex:{}+0x{:x}", object, offset), TRACE_FUTEX};
}

}  // namespace ipcscope
