// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "cli/render/output.h"
#include "collectors/model/builder.h"

/// What write(out) wrote.
template <typename Write>
std::string captured(Write write) {
  const int fd = ::memfd_create("test", MFD_CLOEXEC);
  ipcscope::Output out(fd);
  write(out);
  out.flush();
  std::string text(static_cast<size_t>(::lseek(fd, 0, SEEK_END)), '\0');
  if (::pread(fd, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
    text.clear();
  }
  out.close();
  return text;
}

/// A snapshot of a few processes, numbered 1, 2, 3 ... in their order, with one thread each.
class Scene {
 public:
  ipcscope::ProcessIndex process(const char* comm, int parent = 0, uint32_t uid = 0) {
    auto& snapshot = builder.snapshot();
    ipcscope::Process process;
    process.pid = static_cast<int>(snapshot.processes.size()) + 1;
    process.ns_pid = process.pid;
    process.ppid = parent;
    process.uid = uid;
    std::memcpy(process.comm, comm, std::min(std::strlen(comm) + 1, sizeof process.comm));
    ipcscope::Thread thread;
    thread.process = static_cast<ipcscope::ProcessIndex>(snapshot.processes.size());
    thread.tid = process.pid;
    std::memcpy(thread.comm, process.comm, sizeof thread.comm);
    snapshot.processes.push_back(process);
    snapshot.threads.push_back(thread);
    return thread.process;
  }

  void end(ipcscope::ChannelIndex channel, ipcscope::ProcessIndex process, ipcscope::Role role,
           int fd = -1, uint32_t inode = 0, uint8_t access = 0) {
    ipcscope::Endpoint endpoint;
    endpoint.channel = channel;
    endpoint.process = process;
    endpoint.role = role;
    endpoint.fd = fd;
    endpoint.inode = inode;
    endpoint.access = access;
    builder.add_endpoint(endpoint);
  }

  void wait(ipcscope::ChannelIndex channel, ipcscope::ThreadIndex thread, const char* operation) {
    ipcscope::Wait wait;
    wait.channel = channel;
    wait.thread = thread;
    wait.operation = operation;
    builder.add_wait(wait);
  }

  ipcscope::SnapshotBuilder builder;
};
