// SPDX-License-Identifier: GPL-2.0-or-later
#include "analysis/odd_waits.h"

#include <sys/syscall.h>

#include <catch2/catch.hpp>

#include "tests/unit/paper_host.h"

namespace ipcscope {
namespace {

/// The rules that find something on a host, with a limit of 10 seconds; each about one thread.
std::string rules(Host& host, const WaitFacts& facts = {}) {
  const Snapshot snapshot = host.take();
  const WaitGraph graph(snapshot, facts);
  std::string text;
  for (const Finding& each : find_stuck({snapshot, graph, facts})) {
    CHECK(each.tids.size() == 1);
    CHECK_FALSE(each.advice.empty());
    text += text.empty() ? "" : " ";
    text += each.rule;
  }
  return text;
}

std::string set_of(int value, int pid, int waiters) {
  return "[{\"index\":0,\"value\":1,\"pid\":0,\"increase_waiters\":0,\"zero_waiters\":0},"
         "{\"index\":1,\"value\":" +
         std::to_string(value) + ",\"pid\":" + std::to_string(pid) +
         ",\"increase_waiters\":" + std::to_string(waiters) + ",\"zero_waiters\":0}]";
}

}  // namespace

TEST_CASE("a connection that has lost its peer is half open", "[odd_waits]") {
  struct Case {
    bool is_lost;
    uint64_t seconds;
    Root root;
    const char* expected;
  };
  for (const Case& each : {Case{true, 60, Root::nobody, "half-open"},
                           Case{true, 5, Root::nobody, ""}, Case{false, 60, Root::remote, ""}}) {
    WaitFacts facts;
    const auto make = [&](Host& host) {
      const ThreadIndex client = host.single(10);
      const ChannelIndex connection = host.channel(Kind::tcp);
      host.builder().text(connection, "state", "established");
      host.end(connection, host.of(client), Role::peer, 5);
      host.wait(client, "recv", connection, 5);
      host.asleep(client, each.seconds);
      if (each.is_lost) {
        facts.lost_peers.insert(connection);
      }
      return client;
    };
    Host first, second;
    const ThreadIndex client = make(first);
    CHECK(first.root(client, facts) == each.root);
    make(second);
    CHECK(rules(second, facts) == each.expected);
  }
}

TEST_CASE("a semaphore whose last user has ended is never posted", "[odd_waits]") {
  struct Case {
    int value, pid, waiters;
    const char* expected;
  };
  for (const Case& each : {Case{0, 900, 1, "semaphore-not-posted"}, Case{0, 812, 1, ""},
                           Case{0, 0, 1, ""}, Case{1, 900, 1, ""}, Case{0, 900, 0, ""}}) {
    Host host;
    const ThreadIndex waiter = host.single(10);
    host.single(812);
    const ChannelIndex set = host.channel(Kind::sem);
    host.builder().json(set, "semaphores", set_of(each.value, each.pid, each.waiters));
    host.wait(waiter, "semop", set);
    host.asleep(waiter, 60);
    INFO(each.value << " " << each.pid << " " << each.waiters);
    CHECK(rules(host) == each.expected);
  }
}

TEST_CASE("numbers of another namespace say nothing of a semaphore", "[odd_waits]") {
  Host host;
  const ThreadIndex waiter = host.single(10);
  const ChannelIndex set = host.channel(Kind::sem);
  host.builder().json(set, "semaphores", set_of(0, 900, 1));
  host.builder().channel(set).name_space = 77;
  host.wait(waiter, "semop", set);
  host.asleep(waiter, 60);
  CHECK(rules(host).empty());
}

TEST_CASE("select with descriptors that have no place in an fd_set", "[odd_waits]") {
  struct Case {
    const char* operation;
    uint64_t descriptors;
    const char* expected;
  };
  for (const Case& each :
       {Case{"select", 1025, "select-limit"}, Case{"select", 1024, ""}, Case{"poll", 1025, ""}}) {
    Host host;
    const ThreadIndex reader = host.single(10), writer = host.single(20);
    host.wait(reader, each.operation, host.pipe(host.of(reader), host.of(writer)));
    host.wait(writer, "sleep");
    host.asleep(reader, 60);
    host.snapshot().threads[reader].syscall = SYS_pselect6;
    host.snapshot().threads[reader].args[0] = each.descriptors;
    CHECK(rules(host) == each.expected);
  }
}

TEST_CASE("a terminal whose output is stopped", "[odd_waits]") {
  struct Case {
    const char* operation;
    bool stopped;
    const char* expected;
  };
  for (const Case& each : {Case{"write", true, "stopped-terminal"}, Case{"write", false, ""},
                           Case{"read", true, ""}}) {
    Host host;
    const ThreadIndex program = host.single(10), emulator = host.single(20);
    const ChannelIndex terminal = host.channel(Kind::pty);
    host.builder().boolean(terminal, "stopped", each.stopped);
    host.end(terminal, host.of(program), Role::slave);
    host.end(terminal, host.of(emulator), Role::master);
    host.wait(program, each.operation, terminal);
    host.wait(emulator, "sleep");
    host.asleep(program, 60);
    CHECK(rules(host) == each.expected);
  }
}

}  // namespace ipcscope
