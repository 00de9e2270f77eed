// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/model/snapshot.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace ipcscope {

namespace {

constexpr std::array<std::string_view, kind_count> kind_names = {
    "pipe",     "fifo",    "unix",  "tcp",     "udp",      "netlink",  "packet",  "raw",
    "vsock",    "shm",     "sem",   "msg",     "posixshm", "posixsem", "mq",      "memfd",
    "mmap",     "futex",   "flock", "fcntl",   "ofd",      "lease",    "eventfd", "epoll",
    "signalfd", "timerfd", "pidfd", "inotify", "io_uring", "pty",
};
static_assert(!kind_names.back().empty());

std::string_view bounded(const char (&comm)[16]) { return {comm, ::strnlen(comm, sizeof comm)}; }

template <typename T>
std::span<const T> part(const std::vector<T>& all, uint32_t first, uint32_t count) {
  return std::span<const T>(all).subspan(first, count);
}

}  // namespace

std::string_view kind_name(Kind kind) { return kind_names[static_cast<size_t>(kind)]; }

std::optional<Kind> kind_from_name(std::string_view name) {
  const auto* const found = std::find(kind_names.begin(), kind_names.end(), name);
  if (found == kind_names.end()) {
    return std::nullopt;
  }
  return static_cast<Kind>(found - kind_names.begin());
}

std::string_view role_name(Role role) {
  static constexpr std::array<std::string_view, 10> names = {
      "reader", "writer", "peer",   "listener", "attached",
      "owner",  "waiter", "opener", "master",   "slave",
  };
  return names[static_cast<size_t>(role)];
}

std::string_view Process::command() const { return bounded(comm); }
std::string_view Thread::command() const { return bounded(comm); }

std::span<const Endpoint> Snapshot::endpoints_of(const Channel& channel) const {
  return part(endpoints, channel.first_endpoint, channel.endpoint_count);
}

std::span<const Attribute> Snapshot::attributes_of(const Channel& channel) const {
  return part(attributes, channel.first_attribute, channel.attribute_count);
}

std::span<const uint32_t> Snapshot::waits_at(const Channel& channel) const {
  return part(channel_waits, channel.first_wait, channel.wait_count);
}

std::span<const Wait> Snapshot::waits_of(const Thread& thread) const {
  return part(waits, thread.first_wait, thread.wait_count);
}

std::span<const Thread> Snapshot::threads_of(const Process& process) const {
  return part(threads, process.first_thread, process.thread_count);
}

bool Snapshot::has_ended(const Process& process) const {
  const auto own = threads_of(process);
  return !own.empty() && std::all_of(own.begin(), own.end(), [](const Thread& thread) {
    return thread.state == 'Z' || thread.state == 'X';
  });
}

const Attribute* Snapshot::attribute(const Channel& channel, std::string_view key) const {
  for (const Attribute& attribute : attributes_of(channel)) {
    if (key == attribute.key) {
      return &attribute;
    }
  }
  return nullptr;
}

const Process* Snapshot::process(int pid) const {
  const auto found = std::lower_bound(processes.begin(), processes.end(), pid,
                                      [](const Process& each, int key) { return each.pid < key; });
  return found != processes.end() && found->pid == pid ? &*found : nullptr;
}

const Thread* Snapshot::thread(int tid) const {
  // The leader's tid is the pid, so most look-ups end here.
  if (const Process* leader = process(tid); leader != nullptr && leader->thread_count > 0) {
    return &threads[leader->first_thread];
  }
  const auto found = std::find_if(threads.begin(), threads.end(),
                                  [&](const Thread& each) { return each.tid == tid; });
  return found != threads.end() ? &*found : nullptr;
}

}  // namespace ipcscope
