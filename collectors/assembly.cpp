// SPDX-License-Identifier: GPL-2.0-or-later
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "collectors/mechanism.h"

namespace ipcscope {

namespace {

uint32_t known_or_zero(u32 value) { return value == UNKNOWN_U32 ? 0 : value; }

}  // namespace

uint32_t own_namespace(const char* kind) {
  char path[32];
  std::snprintf(path, sizeof path, "/proc/self/ns/%s", kind);
  struct stat status {};
  return ::stat(path, &status) == 0 ? static_cast<uint32_t>(status.st_ino) : 0;
}

Assembly::Assembly(SnapshotBuilder& to, const ProcRoot& root, const Request& asked)
    : builder(to),
      proc(root),
      request(asked),
      page_size(static_cast<uint64_t>(::sysconf(_SC_PAGESIZE))),
      own_ipc_ns(own_namespace("ipc")),
      own_net_ns(own_namespace("net")),
      own_mnt_ns(own_namespace("mnt")),
      own_pid_ns(own_namespace("pid")) {}

void Assembly::add_thread(const thread_record& from) {
  Snapshot& snapshot = builder.snapshot();
  const auto [found, is_new] =
      by_pid_.try_emplace(from.head.pid, static_cast<ProcessIndex>(snapshot.processes.size()));
  if (is_new) {
    Process& process = snapshot.processes.emplace_back();
    process.pid = static_cast<int32_t>(from.head.pid);
    process.ppid = static_cast<int32_t>(from.ppid);
    process.ns_pid = static_cast<int32_t>(from.ns_pid);
    process.uid = from.uid;
    process.start_ns = from.start_ns;
    process.mm = from.mm;
    process.pid_ns = known_or_zero(from.pid_ns);
    process.ipc_ns = known_or_zero(from.ipc_ns);
    process.net_ns = known_or_zero(from.net_ns);
    process.mnt_ns = known_or_zero(from.mnt_ns);
    std::memcpy(process.comm, from.comm, sizeof process.comm);
  }
  if (!by_tid_.try_emplace(from.tid, static_cast<ThreadIndex>(snapshot.threads.size())).second) {
    return;  // seen twice while it was moving through the list
  }
  Thread& thread = snapshot.threads.emplace_back();
  thread.process = found->second;
  thread.tid = static_cast<int32_t>(from.tid);
  thread.ns_tid = static_cast<int32_t>(from.ns_tid);
  thread.state = static_cast<char>(from.state);
  thread.syscall = from.syscall;
  std::memcpy(thread.args, from.args, sizeof thread.args);
  thread.stack = from.stack;
  thread.instruction = from.instruction;
  thread.blocked_ns = known(from.blocked_ns);
  thread.last_run_ns = known(from.last_run_ns);
  thread.switches = known(from.switches);
  thread.tracer = static_cast<int32_t>(from.tracer);
  std::memcpy(thread.comm, from.comm, sizeof thread.comm);
}

void Assembly::set_fd_count(const fd_count_record& count) {
  if (const ProcessIndex index = process(count.head.pid); index != no_index) {
    builder.snapshot().processes[index].fd_count = count.count;
  }
}

ProcessIndex Assembly::process(uint32_t pid) const {
  const auto found = by_pid_.find(pid);
  return found == by_pid_.end() ? no_index : found->second;
}

ThreadIndex Assembly::thread(uint32_t tid) const {
  const auto found = by_tid_.find(tid);
  return found == by_tid_.end() ? no_index : found->second;
}

const Process& Assembly::process_at(ProcessIndex index) const {
  return builder.snapshot().processes[index];
}

void Assembly::add_endpoint(ChannelIndex channel, const file_record& file, Role role,
                            uint8_t access, uint32_t inode) {
  Endpoint endpoint;
  endpoint.channel = channel;
  endpoint.process = process(file.head.pid);
  endpoint.fd = file.fd;
  endpoint.role = role;
  endpoint.access = access;
  endpoint.inode = inode;
  endpoint.file = file.file;
  builder.add_endpoint(endpoint);
}

std::string Assembly::path(const file_record& file) const {
  if (file.fd < 0) {
    return {};
  }
  char link[64];
  std::snprintf(link, sizeof link, "%u/fd/%d", file.head.pid, file.fd);
  Result<std::string> path = proc.link(link);
  return path && path->starts_with('/') ? std::move(*path) : std::string();
}

}  // namespace ipcscope
