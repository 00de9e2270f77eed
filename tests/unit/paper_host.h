// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <array>
#include <catch2/catch.hpp>
#include <cstring>
#include <string>

#include "analysis/wait_graph.h"
#include "collectors/model/builder.h"

namespace ipcscope {

/// A host on paper. Processes and threads are named by their numbers; the order of threads is that
/// in which they are added, which the snapshot keeps when the numbers rise.
class Host {
 public:
  ProcessIndex process(int pid, int ppid = 1, uint64_t mm = 0) {
    Process& made = snapshot().processes.emplace_back();
    made.pid = pid;
    made.ppid = ppid;
    made.mm = mm != 0 ? mm : static_cast<uint64_t>(pid);
    return static_cast<ProcessIndex>(snapshot().processes.size() - 1);
  }
  ThreadIndex thread(ProcessIndex of, char state = 'S') {
    Thread& made = snapshot().threads.emplace_back();
    made.process = of;
    made.tid = snapshot().processes[of].pid + extra_[of]++;
    made.state = state;
    return static_cast<ThreadIndex>(snapshot().threads.size() - 1);
  }
  /// A process with one thread.
  ThreadIndex single(int pid, char state = 'S') { return thread(process(pid), state); }
  ProcessIndex of(ThreadIndex thread) { return snapshot().threads[thread].process; }

  ChannelIndex channel(Kind kind, const std::string& name = {}) {
    return builder_.add_channel(kind, std::string(kind_name(kind)) + ":" + std::to_string(next_++),
                                name);
  }
  void end(ChannelIndex channel, ProcessIndex process, Role role, uint32_t inode = 0,
           uint8_t access = access_none) {
    Endpoint endpoint;
    endpoint.channel = channel;
    endpoint.process = process;
    endpoint.role = role;
    endpoint.inode = inode;
    endpoint.access = access;
    endpoint.file = 1000 + next_++;
    builder_.add_endpoint(endpoint);
  }
  void owner(ChannelIndex channel, ThreadIndex thread) {
    Endpoint endpoint;
    endpoint.channel = channel;
    endpoint.process = of(thread);
    endpoint.thread = thread;
    endpoint.role = Role::owner;
    builder_.add_endpoint(endpoint);
  }
  ChannelIndex pipe(ProcessIndex reader, ProcessIndex writer) {
    const ChannelIndex made = channel(Kind::pipe);
    end(made, reader, Role::reader);
    end(made, writer, Role::writer);
    return made;
  }
  ChannelIndex futex(const char* ownership, const char* scope = "private", bool died = false) {
    const ChannelIndex made = channel(Kind::futex);
    builder_.text(made, "scope", scope);
    builder_.text(made, "ownership", ownership);
    builder_.boolean(made, "owner_died", died);
    return made;
  }
  ChannelIndex mutex(ThreadIndex holder) {
    const ChannelIndex made = futex("holder");
    owner(made, holder);
    return made;
  }
  void wait(ThreadIndex thread, const char* operation, ChannelIndex channel = no_index,
            uint32_t inode = 0, int32_t target = 0, std::optional<uint64_t> timeout = {}) {
    Wait wait;
    wait.thread = thread;
    wait.operation = operation;
    wait.channel = channel;
    wait.inode = inode;
    wait.target = target;
    wait.timeout_ns = timeout;
    builder_.add_wait(wait);
  }
  /// It has been off the CPU for this long.
  void asleep(ThreadIndex thread, uint64_t seconds) {
    Thread& of = snapshot().threads[thread];
    of.blocked_ns = of.last_run_ns = seconds * 1'000'000'000;
    of.switches = 7;
  }
  void name(ProcessIndex process, const char* comm) {
    Snapshot& all = snapshot();
    std::strncpy(all.processes[process].comm, comm, sizeof all.processes[process].comm - 1);
    for (Thread& thread : all.threads) {
      if (thread.process == process) {
        std::strncpy(thread.comm, comm, sizeof thread.comm - 1);
      }
    }
  }
  /// A descriptor of a pipe.
  void hold(ChannelIndex channel, ProcessIndex process, Role role, int fd) {
    end(channel, process, role);
    snapshot().endpoints.back().fd = fd;
  }
  Snapshot take() { return builder_.finish(); }
  int tid(ThreadIndex thread) { return snapshot().threads[thread].tid; }
  SnapshotBuilder& builder() { return builder_; }
  Snapshot& snapshot() { return builder_.snapshot(); }

  /// What the chain from this thread ends at.
  Root root(ThreadIndex thread, const WaitFacts& facts = {}) {
    if (!finished_) {
      finished_ = true;
      done_ = builder_.finish();
    }
    return chain(done_.threads[thread].tid, facts).root;
  }
  WaitGraph::Chain chain(int number, const WaitFacts& facts = {}) {
    const WaitGraph graph(done_, facts);
    const auto thread = static_cast<ThreadIndex>(done_.thread(number) - done_.threads.data());
    WaitGraph::Chain found = graph.chain(thread);
    const bool dead = found.root == Root::deadlock || found.root == Root::nobody;
    CHECK(graph.is_live(thread) != dead);
    return found;
  }

 private:
  SnapshotBuilder builder_;
  Snapshot done_;
  bool finished_ = false;
  uint32_t next_ = 1;
  std::array<int, 64> extra_{};
};

}  // namespace ipcscope
