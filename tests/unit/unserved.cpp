// SPDX-License-Identifier: GPL-2.0-or-later
#include "analysis/unserved.h"

#include <catch2/catch.hpp>

#include "tests/unit/paper_host.h"

namespace ipcscope {
namespace {

std::vector<Finding> findings(Host& host) {
  const Snapshot snapshot = host.take();
  const WaitFacts facts;
  const WaitGraph graph(snapshot, facts);
  return find_unserved({snapshot, graph, facts});
}

std::string rules(Host& host) {
  std::string text;
  for (const Finding& each : findings(host)) {
    CHECK_FALSE(each.tids.empty());
    CHECK_FALSE(each.summary.empty());
    text += text.empty() ? "" : " ";
    text += each.rule;
  }
  return text;
}

/// A thread at a timer for that long.
ThreadIndex sleeper(Host& host, int pid, uint64_t seconds = 60) {
  const ThreadIndex thread = host.single(pid);
  host.wait(thread, "sleep", no_index, 0, 0, 100'000'000'000);
  host.asleep(thread, seconds);
  return thread;
}

ChannelIndex listener(Host& host, ThreadIndex server, uint64_t waiting) {
  const ChannelIndex made = host.channel(Kind::tcp);
  host.end(made, host.of(server), Role::listener, 7);
  host.snapshot().channels[made].depth_messages = waiting;
  host.snapshot().channels[made].capacity_messages = 2;
  return made;
}

/// A server in epoll_wait, and a socket from which it could read.
struct Watch {
  Kind kind = Kind::unix_socket;
  bool edge = true;
  uint64_t unread = 5;
  bool other_end = false;  ///< the bytes are for the other end
  bool own_peer = false;   ///< which is its own too
  std::optional<uint64_t> timeout = {};
  uint64_t seconds = 60;
};

std::string rules_of(const Watch& watch) {
  Host host;
  const ThreadIndex server = host.single(10), client = sleeper(host, 20);
  const ChannelIndex socket = host.channel(watch.kind), epoll = host.channel(Kind::epoll);
  host.builder().natural(socket, "inode", 5);
  host.builder().natural(socket, watch.other_end ? "peer_rx_bytes" : "rx_bytes", watch.unread);
  host.snapshot().channels[socket].depth_bytes = watch.unread;
  host.end(socket, host.of(server), Role::peer, 5);
  host.end(socket, host.of(watch.own_peer ? server : client), Role::peer, 6);
  host.end(epoll, host.of(server), Role::opener);
  host.snapshot().watched.push_back({epoll, socket, 5, false, watch.edge});
  host.wait(server, "epoll_wait", epoll, 0, 0, watch.timeout);
  host.asleep(server, watch.seconds);
  return rules(host);
}

}  // namespace

TEST_CASE("input that an edge-triggered epoll does not tell of again", "[unserved]") {
  CHECK(rules_of({}) == "missed-edge");
  CHECK(rules_of({.kind = Kind::tcp}) == "missed-edge");
  CHECK(rules_of({.edge = false}).empty());
  CHECK(rules_of({.unread = 0}).empty());
  CHECK(rules_of({.other_end = true}).empty());
  CHECK(rules_of({.own_peer = true}).empty());
  CHECK(rules_of({.timeout = 1'000'000'000}).empty());
  CHECK(rules_of({.seconds = 5}).empty());
  // Who is woken by a counter need not read it.
  CHECK(rules_of({.kind = Kind::eventfd}).empty());
}

TEST_CASE("a backlog that is full while its server sleeps", "[unserved]") {
  for (const auto& [waiting, expected] : {std::pair(3, "full-backlog"), {2, ""}}) {
    Host host;
    listener(host, sleeper(host, 10), static_cast<uint64_t>(waiting));
    CHECK(rules(host) == expected);
  }
  Host young, busy;
  listener(young, sleeper(young, 10, 5), 3);
  CHECK(rules(young).empty());
  const ChannelIndex shared = listener(busy, sleeper(busy, 10), 3);
  busy.end(shared, busy.of(busy.single(20, 'R')), Role::listener, 7);
  CHECK(rules(busy).empty());
}

TEST_CASE("a connection that waits to be accepted has no backlog", "[unserved]") {
  Host host;
  const ThreadIndex server = sleeper(host, 10), client = sleeper(host, 20);
  const ChannelIndex connection = host.channel(Kind::tcp);
  host.snapshot().channels[connection].depth_messages = 3;
  host.snapshot().channels[connection].capacity_messages = 2;
  host.end(connection, host.of(server), Role::listener, 7);
  host.end(connection, host.of(client), Role::peer, 8);
  CHECK(rules(host).empty());
}

TEST_CASE("datagrams that are dropped while their receiver sleeps", "[unserved]") {
  struct Case {
    uint64_t drops, used;
    const char* expected;
  };
  for (const Case& each : {Case{4, 900, "lost-datagrams"}, Case{0, 900, ""}, Case{4, 100, ""}}) {
    Host host;
    const ChannelIndex socket = host.channel(Kind::udp);
    host.builder().natural(socket, "drops", each.drops);
    host.builder().natural(socket, "rx_memory", each.used);
    host.builder().natural(socket, "rcvbuf", 1000);
    host.end(socket, host.of(sleeper(host, 10)), Role::reader, 7);
    CHECK(rules(host) == each.expected);
  }
}

TEST_CASE("descriptors in flight are those of who does not receive", "[unserved]") {
  struct Case {
    uint64_t count, first, second;
    char first_state, second_state;
    const char* expected;
  };
  for (const Case& each : {Case{2, 1, 0, 'S', 'R', "fd-in-flight"}, Case{2, 0, 1, 'S', 'R', ""},
                           Case{2, 0, 0, 'S', 'S', "fd-in-flight"}, Case{2, 0, 0, 'S', 'R', ""},
                           Case{0, 1, 0, 'S', 'S', ""}}) {
    Host host;
    const ThreadIndex first = host.single(10, each.first_state);
    const ThreadIndex second = host.single(20, each.second_state);
    host.asleep(first, 60);
    host.asleep(second, 60);
    const ChannelIndex socket = host.channel(Kind::unix_socket);
    host.builder().natural(socket, "inode", 5);
    host.builder().natural(socket, "rx_bytes", each.first);
    host.builder().natural(socket, "peer_rx_bytes", each.second);
    host.builder().natural(socket, "fds_in_flight", each.count);
    host.end(socket, host.of(first), Role::peer, 5);
    host.end(socket, host.of(second), Role::peer, 6);
    CHECK(rules(host) == each.expected);
  }
}

TEST_CASE("nobody is blamed where a receiver could not be seen", "[unserved]") {
  Host host;
  const ChannelIndex made = listener(host, sleeper(host, 10), 3);
  host.end(made, no_index, Role::listener, 7);
  CHECK(rules(host).empty());
}

TEST_CASE("the finding names all threads of who does not receive", "[unserved]") {
  Host host;
  const ProcessIndex server = host.process(10);
  host.asleep(host.thread(server), 60);
  host.asleep(host.thread(server), 60);
  const ChannelIndex made = listener(host, 0, 3);
  const std::vector<Finding> found = findings(host);
  REQUIRE(found.size() == 1);
  CHECK(found[0].pids == std::vector<int32_t>{10});
  CHECK(found[0].tids == std::vector<int32_t>{10, 11});
  REQUIRE(found[0].channels.size() == 1);
  CHECK(made == 0);
}

}  // namespace ipcscope
