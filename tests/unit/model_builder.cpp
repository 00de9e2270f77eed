// SPDX-License-Identifier: GPL-2.0-or-later
// A snapshot built in any order comes out in the order that it promises, with every link intact.
#include "collectors/model/builder.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

using namespace ipcscope;

namespace {

ProcessIndex add_process(SnapshotBuilder& builder, int pid) {
  Process process;
  process.pid = pid;
  builder.snapshot().processes.push_back(process);
  return static_cast<ProcessIndex>(builder.snapshot().processes.size() - 1);
}

ThreadIndex add_thread(SnapshotBuilder& builder, ProcessIndex process, int tid) {
  Thread thread;
  thread.process = process;
  thread.tid = tid;
  builder.snapshot().threads.push_back(thread);
  return static_cast<ThreadIndex>(builder.snapshot().threads.size() - 1);
}

void add_endpoint(SnapshotBuilder& builder, ChannelIndex channel, ProcessIndex process, int fd) {
  Endpoint endpoint;
  endpoint.channel = channel;
  endpoint.process = process;
  endpoint.fd = fd;
  builder.add_endpoint(endpoint);
}

void add_wait(SnapshotBuilder& builder, ThreadIndex thread, ChannelIndex channel,
              const char* operation) {
  Wait wait;
  wait.thread = thread;
  wait.channel = channel;
  wait.operation = operation;
  builder.add_wait(wait);
}

const Channel& channel_of(const Snapshot& snapshot, std::string_view id) {
  for (const Channel& channel : snapshot.channels) {
    if (channel.id == id) {
      return channel;
    }
  }
  FAIL("no channel " << id);
  return snapshot.channels.front();
}

}  // namespace

TEST_CASE("an empty snapshot", "[model]") {
  const Snapshot snapshot = SnapshotBuilder().finish();
  CHECK(snapshot.channels.empty());
  CHECK(snapshot.process(1) == nullptr);
  CHECK(snapshot.thread(1) == nullptr);
}

TEST_CASE("a process begins with its leader, also where numbers have come round", "[model]") {
  SnapshotBuilder builder;
  const ProcessIndex process = add_process(builder, 32700);
  for (const int tid : {349, 32700, 348, 32701}) {
    add_thread(builder, process, tid);
  }
  const Snapshot snapshot = builder.finish();
  std::vector<int> tids;
  for (const Thread& thread : snapshot.threads_of(snapshot.processes[0])) {
    tids.push_back(thread.tid);
  }
  CHECK(tids == std::vector<int>{32700, 348, 349, 32701});
  REQUIRE(snapshot.thread(32700) != nullptr);
  CHECK(snapshot.thread(32700)->tid == 32700);
}

TEST_CASE("everything is put into order", "[model]") {
  SnapshotBuilder builder;
  // Against every order that is promised: pids and tids downwards, kinds mixed.
  const ProcessIndex late = add_process(builder, 30);
  const ThreadIndex late_second = add_thread(builder, late, 31);
  const ThreadIndex late_leader = add_thread(builder, late, 30);
  const ProcessIndex early = add_process(builder, 10);
  const ThreadIndex early_leader = add_thread(builder, early, 10);

  const ChannelIndex memory = builder.add_channel(Kind::shm, "shm:1");
  builder.natural(memory, "bytes", 4096);
  const ChannelIndex second = builder.add_channel(Kind::pipe, "pipe:2");
  builder.natural(second, "inode", 2);
  builder.boolean(second, "packet_mode", true);
  const ChannelIndex socket = builder.add_channel(Kind::unix_socket, "unix:3", "/run/x");
  builder.text(socket, "type", "stream");
  const ChannelIndex first = builder.add_channel(Kind::pipe, "pipe:1");

  add_endpoint(builder, first, late, 0);
  add_endpoint(builder, memory, early, -1);
  add_endpoint(builder, second, early, 5);
  add_endpoint(builder, first, early, 1);
  add_endpoint(builder, socket, no_index, 7);  // nobody that could be seen

  add_wait(builder, late_second, second, "poll");
  add_wait(builder, late_second, socket, "poll");
  add_wait(builder, late_leader, no_index, "wait4");
  add_wait(builder, early_leader, second, "read");

  const Snapshot snapshot = builder.finish();

  REQUIRE(snapshot.processes.size() == 2);
  CHECK(snapshot.processes[0].pid == 10);
  CHECK(snapshot.processes[1].pid == 30);
  const auto threads = snapshot.threads_of(*snapshot.process(30));
  REQUIRE(threads.size() == 2);
  CHECK(threads[0].tid == 30);
  CHECK(threads[1].tid == 31);

  std::string order;
  for (const Channel& channel : snapshot.channels) {
    order += std::string(channel.id) + " ";
  }
  CHECK(order == "pipe:2 pipe:1 unix:3 shm:1 ");  // by kind, else as they came

  const auto ends = snapshot.endpoints_of(channel_of(snapshot, "pipe:1"));
  REQUIRE(ends.size() == 2);
  CHECK(snapshot.processes[ends[0].process].pid == 30);
  CHECK(snapshot.processes[ends[1].process].pid == 10);
  CHECK(snapshot.endpoints_of(channel_of(snapshot, "shm:1")).size() == 1);
  const auto orphan = snapshot.endpoints_of(channel_of(snapshot, "unix:3"));
  REQUIRE(orphan.size() == 1);
  CHECK(orphan[0].process == no_index);

  CHECK(snapshot.attribute(channel_of(snapshot, "shm:1"), "bytes")->natural == 4096);
  CHECK(snapshot.attribute(channel_of(snapshot, "pipe:2"), "packet_mode")->boolean);
  CHECK(snapshot.attribute(channel_of(snapshot, "unix:3"), "type")->string() == "stream");
  CHECK(snapshot.attributes_of(channel_of(snapshot, "pipe:1")).empty());
  CHECK(snapshot.attribute(channel_of(snapshot, "pipe:1"), "inode") == nullptr);

  const auto at_second = snapshot.waits_at(channel_of(snapshot, "pipe:2"));
  REQUIRE(at_second.size() == 2);
  for (const uint32_t each : at_second) {
    const Wait& wait = snapshot.waits[each];
    CHECK(snapshot.channels[wait.channel].id == "pipe:2");
    CHECK(std::string_view(wait.operation) ==
          (snapshot.threads[wait.thread].tid == 10 ? "read" : "poll"));
  }
  CHECK(snapshot.waits_at(channel_of(snapshot, "pipe:1")).empty());
  CHECK(snapshot.waits_of(*snapshot.thread(31)).size() == 2);
  const auto of_leader = snapshot.waits_of(*snapshot.thread(30));
  REQUIRE(of_leader.size() == 1);
  CHECK(of_leader[0].channel == no_index);
  CHECK(std::string_view(of_leader[0].operation) == "wait4");
}

TEST_CASE("a channel is found by its id while building", "[model]") {
  SnapshotBuilder builder;
  CHECK(builder.find_channel("pipe:1") == no_index);
  const ChannelIndex one = builder.add_channel(Kind::pipe, "pipe:1");
  CHECK(builder.find_channel("pipe:1") == one);
  const ChannelIndex two = builder.add_channel(Kind::pipe, "pipe:2");
  const ChannelIndex fifo = builder.add_channel(Kind::fifo, "fifo:/run/pipe:1");
  CHECK(builder.find_channel("pipe:2") == two);
  CHECK(builder.find_channel("fifo:/run/pipe:1") == fifo);
  CHECK(builder.find_channel("pipe:") == no_index);
  CHECK(builder.find_channel("nonsense") == no_index);
  CHECK(builder.find_channel("") == no_index);
}

TEST_CASE("what is unknown is no number", "[model]") {
  SnapshotBuilder builder;
  const ChannelIndex index = builder.add_channel(Kind::pipe, "pipe:1");
  builder.natural(index, "known", UINT64_MAX - 1);
  builder.natural(index, "unknown", UINT64_MAX);
  builder.natural32(index, "known32", UINT32_MAX - 1);
  builder.natural32(index, "unknown32", UINT32_MAX);
  builder.integer(index, "negative", -1);
  const Snapshot snapshot = builder.finish();
  const Channel& channel = snapshot.channels[0];
  using Type = Attribute::Type;
  CHECK(snapshot.attribute(channel, "known")->type == Type::natural);
  CHECK(snapshot.attribute(channel, "unknown")->type == Type::unknown);
  CHECK(snapshot.attribute(channel, "known32")->natural == UINT32_MAX - 1);
  CHECK(snapshot.attribute(channel, "unknown32")->type == Type::unknown);
  CHECK(snapshot.attribute(channel, "negative")->integer == -1);
  std::string keys;
  for (const Attribute& each : snapshot.attributes_of(channel)) {
    keys += std::string(each.key) + " ";
  }
  CHECK(keys == "known unknown known32 unknown32 negative ");
}

TEST_CASE("text outlives its source", "[model]") {
  SnapshotBuilder builder;
  {
    const std::string id = "fifo:/tmp/\n\x1b[31m\xff";
    const std::string value = "value";
    builder.text(builder.add_channel(Kind::fifo, id, id.substr(5)), "key", value);
  }
  const Snapshot snapshot = builder.finish();
  CHECK(snapshot.channels[0].id == "fifo:/tmp/\n\x1b[31m\xff");
  CHECK(snapshot.channels[0].name == "/tmp/\n\x1b[31m\xff");
  CHECK(snapshot.attribute(snapshot.channels[0], "key")->string() == "value");
}
