// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/activity/activity_sums.h"

#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <vector>

using namespace ipcscope;

namespace {

/// Calls a channel after its number; both ends of a socket after the lesser one.
class PaperNames : public TraceNames {
 public:
  TraceName name(const trace_channel_record& record, int32_t pid) override {
    asked++;
    const auto kind = static_cast<uint8_t>(record.channel_kind);
    uint64_t number = record.number;
    if (kind == TRACE_UNIX && record.unix_end.peer_inode != 0) {
      number = std::min<uint64_t>(number, record.unix_end.peer_inode);
    }
    if (kind == TRACE_TIMERFD) {
      return {fmt::format("timerfd:{}:{}", pid, record.fd), kind};
    }
    const bool is_known = kind != TRACE_FIFO || pid == knows_paths;
    return {is_known ? fmt::format("{}:{}", trace_word(kind), number) : "fifo:?", kind, is_known};
  }
  TraceName futex(int32_t /*pid*/, uint64_t /*address*/, bool /*is_private*/) override {
    return {};
  }
  int asked = 0;
  int32_t knows_paths = 0;
};

ActivityPair pair(u16 kind, u64 number, u32 pid, u64 reads, u64 writes) {
  ActivityPair made;
  made.key.channel = (u64{kind} + 1) << 56 | number;
  made.key.group = pid + 1000;
  made.value.operations[ACTIVITY_READ] = reads;
  made.value.operations[ACTIVITY_WRITE] = writes;
  made.value.bytes[ACTIVITY_READ] = reads * 10;
  made.value.bytes[ACTIVITY_WRITE] = writes * 10;
  made.value.pid = pid;
  std::strcpy(made.value.comm, "paper");
  made.value.channel.channel_kind = kind;
  made.value.channel.number = number;
  made.value.channel.key = made.key.channel;
  made.value.channel.fd = static_cast<s32>(pid % 10);
  made.value.channel.tid = pid;
  return made;
}

ActivityPair end_of(u64 inode, u64 peer, u32 pid, u64 reads, u64 writes) {
  ActivityPair made = pair(TRACE_UNIX, inode, pid, reads, writes);
  made.value.channel.unix_end.peer_inode = peer;
  return made;
}

Activity add(ActivitySums& sums, const std::vector<ActivityPair>& pairs) {
  Activity activity;
  sums.add(pairs, activity);
  return activity;
}

}  // namespace

TEST_CASE("activity is added up by channel and by process", "[activity]") {
  PaperNames names;
  ActivitySums sums(names);
  const Activity activity =
      add(sums, {pair(TRACE_PIPE, 7, 100, 0, 3), pair(TRACE_PIPE, 7, 200, 2, 0),
                 pair(TRACE_PIPE, 7, 300, 0, 9), pair(TRACE_PIPE, 8, 200, 40, 0)});
  REQUIRE(activity.channels.size() == 2);
  const ChannelActivity& busiest = activity.channels[0];
  CHECK(busiest.id == "pipe:8");
  CHECK(busiest.kind == Kind::pipe);
  CHECK(busiest.reads == 40);
  CHECK(busiest.read_bytes == 400);
  const ChannelActivity& shared = activity.channels[1];
  CHECK(shared.reads == 2);
  CHECK(shared.writes == 12);
  CHECK(shared.written_bytes == 120);
  CHECK(shared.pids == std::vector<int32_t>{300, 100, 200});
  REQUIRE(activity.processes.size() == 3);
  CHECK(activity.processes[0].pid == 200);
  CHECK(activity.processes[0].comm == "paper");
  CHECK(activity.processes[0].reads == 42);
  CHECK(activity.processes[1].pid == 300);
}

TEST_CASE("both ends of a socket are one channel", "[activity]") {
  PaperNames names;
  ActivitySums sums(names);
  const Activity activity = add(sums, {end_of(5, 4, 100, 1, 2), end_of(4, 5, 200, 2, 1)});
  REQUIRE(activity.channels.size() == 1);
  CHECK(activity.channels[0].id == "unix:4");
  CHECK(activity.channels[0].reads == 3);
  CHECK(activity.channels[0].writes == 3);
  CHECK(activity.channels[0].pids == std::vector<int32_t>{100, 200});

  // One process that has both is named once.
  const Activity alone = add(sums, {end_of(5, 4, 100, 0, 2), end_of(4, 5, 100, 2, 0)});
  REQUIRE(alone.channels.size() == 1);
  CHECK(alone.channels[0].pids == std::vector<int32_t>{100});
}

TEST_CASE("signals count for their sender, and are no channel", "[activity]") {
  PaperNames names;
  ActivitySums sums(names);
  const Activity activity = add(sums, {pair(TRACE_SIGNAL, 0, 100, 0, 5)});
  CHECK(activity.channels.empty());
  REQUIRE(activity.processes.size() == 1);
  CHECK(activity.processes[0].signals_sent == 5);
  CHECK(activity.processes[0].writes == 0);
}

TEST_CASE("a name is looked up once, and again when the channel was connected", "[activity]") {
  PaperNames names;
  ActivitySums sums(names);
  add(sums, {end_of(5, 0, 100, 0, 1)});
  CHECK(names.asked == 1);
  // Who uses it, and through which descriptor, does not matter.
  CHECK(add(sums, {end_of(5, 0, 101, 0, 1)}).channels[0].id == "unix:5");
  CHECK(names.asked == 1);
  CHECK(add(sums, {end_of(5, 4, 100, 0, 1)}).channels[0].id == "unix:4");
  CHECK(names.asked == 2);
}

TEST_CASE("a name that nobody knows is looked for again, but not for ever", "[activity]") {
  PaperNames names;
  ActivitySums sums(names);
  CHECK(add(sums, {pair(TRACE_FIFO, 9, 100, 0, 1)}).channels[0].id == "fifo:?");
  names.knows_paths = 200;
  CHECK(add(sums, {pair(TRACE_FIFO, 9, 100, 0, 1)}).channels[0].id == "fifo:?");
  // Another one who uses it knows more.
  CHECK(
      add(sums, {pair(TRACE_FIFO, 9, 100, 0, 1), pair(TRACE_FIFO, 9, 200, 1, 0)}).channels[0].id ==
      "fifo:9");
  const int asked = names.asked;
  CHECK(add(sums, {pair(TRACE_FIFO, 9, 100, 0, 1)}).channels[0].id == "fifo:9");
  CHECK(names.asked == asked);

  for (int i = 0; i < 20; i++) {
    add(sums, {pair(TRACE_FIFO, 10, 100, 0, 1)});
  }
  CHECK(names.asked <= asked + 5);
}

TEST_CASE("what only descriptors tell apart is named after the least process", "[activity]") {
  PaperNames names;
  ActivitySums sums(names);
  const Activity activity =
      add(sums, {pair(TRACE_TIMERFD, 77, 205, 1, 0), pair(TRACE_TIMERFD, 77, 104, 1, 0)});
  REQUIRE(activity.channels.size() == 1);
  CHECK(activity.channels[0].id == "timerfd:104:4");
}

TEST_CASE("names of channels that are gone do not pile up", "[activity]") {
  PaperNames names;
  ActivitySums sums(names);
  constexpr u64 in_a_window = 2000;
  for (u64 window = 0; window < 50; window++) {
    std::vector<ActivityPair> pairs;
    for (u64 i = 0; i < in_a_window; i++) {
      pairs.push_back(pair(TRACE_PIPE, 1 + window * in_a_window + i, 100, 1, 0));
    }
    add(sums, pairs);
    CHECK(sums.names() <= 4096 + in_a_window);
  }
  // In use: kept.
  add(sums, {pair(TRACE_PIPE, 5, 100, 1, 0)});
  const int asked = names.asked;
  add(sums, {pair(TRACE_PIPE, 5, 100, 1, 0)});
  CHECK(names.asked == asked);
}
