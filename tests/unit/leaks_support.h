// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <fmt/format.h>

#include <cstring>
#include <string>
#include <vector>

#include "analysis/leaks.h"
#include "collectors/model/builder.h"

namespace ipcscope {

/// A host that was started at 500,000 s and is looked at at 1,000,000 s since the epoch, with
/// objects that are leaked unless a test makes them otherwise. ipcscope is process 1.
class LeftBehind {
 public:
  static constexpr int64_t boot_s = 500'000;
  static constexpr int64_t now_s = 1'000'000;
  static constexpr int64_t made_s = 900'000;
  static constexpr uint32_t own_ns = 4026531839;

  LeftBehind() {
    builder.snapshot().time_ns = now_s * 1'000'000'000;
    builder.snapshot().boot_ns = (now_s - boot_s) * 1'000'000'000;
    process(1, "ipcscope", now_s - 1);
  }

  /// start: seconds since the epoch.
  ProcessIndex process(int pid, const char* comm, int64_t start, uint32_t uid = 0,
                       uint32_t ipc_ns = own_ns, char state = 'S') {
    Snapshot& seen = builder.snapshot();
    Process process;
    process.pid = process.ns_pid = pid;
    process.uid = uid;
    process.ipc_ns = ipc_ns;
    process.mm = state == 'Z' || state == 'I' ? 0 : static_cast<uint64_t>(pid);
    process.start_ns = static_cast<uint64_t>(start - boot_s) * 1'000'000'000;
    std::memcpy(process.comm, comm, std::min(std::strlen(comm) + 1, sizeof process.comm));
    Thread thread;
    thread.process = static_cast<ProcessIndex>(seen.processes.size());
    thread.tid = pid;
    thread.state = state;
    seen.processes.push_back(process);
    seen.threads.push_back(thread);
    return thread.process;
  }

  /// Process numbers that exist no more.
  void ended(std::initializer_list<int32_t> pids) {
    for (const int32_t pid : pids) {
      leftovers.pids[pid] = {};
    }
  }

  void end(ChannelIndex channel, ProcessIndex process, Role role) {
    Endpoint endpoint;
    endpoint.channel = channel;
    endpoint.process = process;
    endpoint.role = role;
    builder.add_endpoint(endpoint);
  }

  /// A thread of the process waits at the channel.
  void wait(ChannelIndex channel, ProcessIndex process, const char* operation) {
    Wait wait;
    wait.thread = process;  // one thread each
    wait.channel = channel;
    wait.operation = operation;
    builder.add_wait(wait);
  }

  struct Shm {
    int64_t creator = 100, last = 101;  ///< below 0: unknown
    int64_t attaches = 0;
    bool destroyed = false;
    int64_t attach_time = made_s + 10, detach_time = made_s + 20, change_time = made_s;
    uint32_t key = 0x1234, uid = 0, cuid = 0, name_space = 0;
  };
  ChannelIndex add(const Shm& shm) {
    const ChannelIndex channel = object(Kind::shm, shm.key, shm.uid, shm.name_space);
    builder.channel(channel).capacity_bytes = 65536;
    integer(channel, "creator_pid", shm.creator);
    integer(channel, "last_pid", shm.last);
    if (shm.attaches < 0) {
      builder.unknown(channel, "attaches");
    } else {
      builder.natural(channel, "attaches", static_cast<uint64_t>(shm.attaches));
    }
    builder.natural(channel, "bytes", 65536);
    builder.boolean(channel, "destroyed", shm.destroyed);
    builder.natural32(channel, "uid", shm.uid);
    builder.natural32(channel, "gid", 7);
    builder.natural32(channel, "cuid", shm.cuid);
    builder.natural32(channel, "cgid", 8);
    builder.integer(channel, "attach_time", shm.attach_time);
    builder.integer(channel, "detach_time", shm.detach_time);
    builder.integer(channel, "change_time", shm.change_time);
    return channel;
  }

  struct Sem {
    std::vector<int> pids = {100, 101};  ///< of each semaphore; below 0: unknown
    int increase = 0, zero = 0;          ///< waiters at the first one; below 0: unknown
    int64_t operate_time = made_s + 10, change_time = made_s;
    uint32_t key = 0x1234, uid = 0, cuid = 0, name_space = 0;
    std::optional<uint32_t> undos = 0;
    std::optional<uint32_t> blocked = 0;
  };
  ChannelIndex add(const Sem& sem) {
    const ChannelIndex channel = object(Kind::sem, sem.key, sem.uid, sem.name_space);
    const auto number = [](int value) { return value < 0 ? "null" : std::to_string(value); };
    std::string json = "[";
    for (size_t i = 0; i < sem.pids.size(); i++) {
      const bool first = i == 0;
      json += fmt::format(
          R"({}{{"index":{},"value":1,"pid":{},"increase_waiters":{},"zero_waiters":{}}})",
          first ? "" : ",", i, number(sem.pids[i]), number(first ? sem.increase : 0),
          number(first ? sem.zero : 0));
    }
    builder.json(channel, "semaphores", json + "]");
    builder.integer(channel, "operate_time", sem.operate_time);
    builder.integer(channel, "change_time", sem.change_time);
    builder.natural32(channel, "uid", sem.uid);
    builder.natural32(channel, "gid", 7);
    builder.natural32(channel, "cuid", sem.cuid);
    builder.natural32(channel, "cgid", 8);
    leftovers.objects[channel].undos = sem.undos;
    leftovers.objects[channel].blocked = sem.blocked;
    return channel;
  }

  struct Msg {
    int64_t sender = 100, receiver = 101;  ///< below 0: unknown
    int64_t send_time = made_s + 10, receive_time = made_s + 20, change_time = made_s;
    uint64_t messages = 0, bytes = 0;
    uint32_t key = 0x1234, uid = 0, cuid = 0, name_space = 0;
    std::optional<uint32_t> blocked = 0;
  };
  ChannelIndex add(const Msg& msg) {
    const ChannelIndex channel = object(Kind::msg, msg.key, msg.uid, msg.name_space);
    builder.channel(channel).depth_messages = msg.messages;
    builder.channel(channel).depth_bytes = msg.bytes;
    integer(channel, "last_send_pid", msg.sender);
    integer(channel, "last_receive_pid", msg.receiver);
    builder.integer(channel, "send_time", msg.send_time);
    builder.integer(channel, "receive_time", msg.receive_time);
    builder.integer(channel, "change_time", msg.change_time);
    builder.natural32(channel, "cuid", msg.cuid);
    leftovers.objects[channel].blocked = msg.blocked;
    return channel;
  }

  struct Posix {
    Kind kind = Kind::posixshm;
    uint64_t bytes = 8192;
    bool unlinked = false;
    int64_t change_time = made_s;  ///< below 0: unknown
    uint32_t uid = 0, name_space = 0;
    std::optional<bool> unused = std::nullopt;
    // of a queue
    uint64_t messages = 0, queued = 0;
    uint32_t notify_pid = 0, senders = 0, receivers = 0;
  };
  ChannelIndex add(const Posix& posix) {
    const ChannelIndex channel =
        builder.add_channel(posix.kind, fmt::format("{}:/x", kind_name(posix.kind)), "/x");
    builder.channel(channel).uid = posix.uid;
    builder.channel(channel).name_space = posix.name_space;
    if (posix.kind == Kind::posixshm) {
      builder.natural(channel, "bytes", posix.bytes);
    } else if (posix.kind == Kind::posixsem) {
      builder.natural(channel, "bytes", 32);
      builder.natural32(channel, "value", 3);
    } else {
      builder.channel(channel).depth_messages = posix.messages;
      builder.channel(channel).depth_bytes = posix.queued;
      builder.natural32(channel, "notify_pid", posix.notify_pid);
      builder.natural32(channel, "waiting_senders", posix.senders);
      builder.natural32(channel, "waiting_receivers", posix.receivers);
    }
    builder.boolean(channel, "unlinked", posix.unlinked);
    builder.natural(channel, "inode", 77);
    builder.text(channel, "device", "0:30");
    builder.natural32(channel, "gid", 9);
    integer(channel, "change_time", posix.change_time);
    leftovers.objects[channel].unused = posix.unused;
    return channel;
  }

  /// Judges everything; ends the scene.
  std::vector<Leak> judge() {
    query.own_pid = 1;
    snapshot = builder.finish();
    return find_leaks(snapshot, leftovers, query);
  }

  SnapshotBuilder builder;
  Snapshot snapshot;
  Leftovers leftovers;
  LeakQuery query;

 private:
  ChannelIndex object(Kind kind, uint32_t key, uint32_t uid, uint32_t name_space) {
    std::string id = fmt::format("{}:{}", kind_name(kind), next_id_++);
    if (name_space != 0) {
      id += fmt::format("@{}", name_space);
    }
    const ChannelIndex channel = builder.add_channel(kind, id);
    builder.channel(channel).uid = uid;
    builder.channel(channel).permissions = 0600;
    builder.channel(channel).name_space = name_space;
    builder.text(channel, "key", fmt::format("0x{:08x}", key));
    return channel;
  }

  void integer(ChannelIndex channel, const char* key, int64_t value) {
    if (value < 0) {
      builder.unknown(channel, key);
    } else {
      builder.integer(channel, key, value);
    }
  }

  int next_id_ = 5;
};

/// The only object of the scene, judged.
inline Leak judge_one(LeftBehind& scene) {
  std::vector<Leak> leaks = scene.judge();
  if (leaks.size() == 1) {
    return std::move(leaks.front());
  }
  Leak none;
  none.verdict = Verdict::info;
  return none;
}

/// What an object's evidence says of a fact; empty when it has none.
inline std::string fact(const Leak& leak, std::string_view name) {
  for (const LeakEvidence& each : leak.evidence) {
    if (name == each.fact) {
      return each.text;
    }
  }
  return {};
}

/// The verdict on one object in a scene where 100 and 101, who had it, have ended.
template <typename Object>
Verdict verdict_on(const Object& object) {
  LeftBehind scene;
  scene.ended({100, 101});
  scene.add(object);
  return judge_one(scene).verdict;
}

}  // namespace ipcscope
