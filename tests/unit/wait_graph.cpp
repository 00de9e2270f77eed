// SPDX-License-Identifier: GPL-2.0-or-later
#include "analysis/wait_graph.h"

#include <catch2/catch.hpp>

#include "tests/unit/paper_host.h"

namespace ipcscope {

TEST_CASE("two mutexes taken in opposite order are a deadlock of two", "[wait_graph]") {
  Host host;
  const ProcessIndex process = host.process(10);
  const ThreadIndex a = host.thread(process), b = host.thread(process), c = host.thread(process);
  const ChannelIndex first = host.mutex(a), second = host.mutex(b);
  host.wait(a, "futex_wait", second);
  host.wait(b, "futex_wait", first);
  host.wait(c, "futex_wait", first);
  const Snapshot snapshot = host.builder().finish();
  const WaitGraph graph(snapshot, {});
  const auto deadlocks = graph.deadlocks();
  REQUIRE(deadlocks.size() == 1);
  CHECK(deadlocks[0].threads == std::vector<ThreadIndex>{a, b});
  REQUIRE(deadlocks[0].cycle.size() == 2);
  CHECK(snapshot.waits[deadlocks[0].cycle[0].wait].channel == second);
  const WaitGraph::Chain behind = graph.chain(c);
  CHECK(behind.root == Root::deadlock);
  REQUIRE(behind.steps.size() == 3);
  CHECK(behind.steps[0].thread == c);
  CHECK(behind.knot_begin == 1);
}

TEST_CASE("a holder that moves is no deadlock", "[wait_graph]") {
  struct Case {
    char state;
    const char* operation;
    std::optional<uint64_t> timeout;
    Root root;
  };
  for (const Case& each :
       {Case{'R', nullptr, {}, Root::running}, Case{'S', "sleep", {}, Root::timer},
        Case{'S', "sigwait", {}, Root::signal}, Case{'S', "fsync", {}, Root::device},
        Case{'D', "unheard-of", {}, Root::device}, Case{'S', "unheard-of", {}, Root::unreadable},
        Case{'T', "futex_wait", {}, Root::stopped}, Case{'t', nullptr, {}, Root::stopped},
        Case{'S', nullptr, {}, Root::device}, Case{'S', "futex_wait", 5'000'000, Root::timer}}) {
    Host host;
    const ThreadIndex waiter = host.single(10), holder = host.single(20, each.state);
    const ChannelIndex mutex = host.mutex(holder), other = host.mutex(waiter);
    host.wait(waiter, "futex_wait", mutex);
    if (each.operation != nullptr) {
      host.wait(holder, each.operation,
                each.operation[0] == 'f' && each.operation[1] == 'u' ? other : no_index, 0, 0,
                each.timeout);
    }
    CHECK(host.root(waiter) == each.root);
  }
}

TEST_CASE("a futex without owner is released by who can reach its memory", "[wait_graph]") {
  SECTION("private: the other threads, and who shares the address space") {
    Host host;
    const ProcessIndex one = host.process(10, 1, 7), two = host.process(20, 1, 7);
    const ThreadIndex waiter = host.thread(one), other = host.thread(two, 'R');
    host.wait(waiter, "futex_wait", host.futex("none by design"));
    CHECK(host.root(waiter) == Root::running);
    CHECK(host.chain(10).steps.back().thread == other);
  }
  SECTION("private, and nobody else is there") {
    Host host;
    const ThreadIndex waiter = host.single(10);
    host.single(20, 'R');
    host.wait(waiter, "futex_wait", host.futex("none by design"));
    CHECK(host.root(waiter) == Root::deadlock);
  }
  SECTION("shared: the processes that map it") {
    Host host;
    const ThreadIndex waiter = host.single(10), other = host.single(20, 'R');
    const ChannelIndex futex = host.futex("none by design", "shared");
    host.wait(waiter, "futex_wait", futex);
    host.snapshot().reach = {{futex, host.of(waiter)}, {futex, host.of(other)}};
    CHECK(host.root(waiter) == Root::running);
  }
  SECTION("shared, with nobody else") {
    Host host;
    const ThreadIndex waiter = host.single(10);
    host.single(20, 'R');
    const ChannelIndex futex = host.futex("unknown", "shared");
    host.wait(waiter, "futex_wait", futex);
    host.snapshot().reach = {{futex, host.of(waiter)}};
    CHECK(host.root(waiter) == Root::deadlock);
  }
  SECTION("shared, and who maps it is not known") {
    Host host;
    const ThreadIndex waiter = host.single(10);
    host.wait(waiter, "futex_wait", host.futex("none by design", "shared"));
    CHECK(host.root(waiter) == Root::unreadable);
  }
  SECTION("a dead owner releases nobody") {
    Host host;
    const ThreadIndex waiter = host.single(10);
    host.wait(waiter, "futex_wait", host.futex("unknown", "private", true));
    CHECK(host.root(waiter) == Root::nobody);
  }
}

TEST_CASE("the end of a thread or child is waited for", "[wait_graph]") {
  SECTION("pthread_join of a thread that waits for the joiner") {
    Host host;
    const ProcessIndex process = host.process(10);
    const ThreadIndex joiner = host.thread(process), worker = host.thread(process);
    host.wait(joiner, "futex_wait", host.futex("holder"), 0, host.tid(worker));
    host.wait(worker, "futex_wait", host.mutex(joiner));
    CHECK(host.root(joiner) == Root::deadlock);
  }
  SECTION("one child, which writes into a pipe that only its waiting parent reads") {
    Host host;
    const ProcessIndex parent = host.process(10), child = host.process(20, 10);
    const ThreadIndex waiter = host.thread(parent), writer = host.thread(child);
    host.wait(waiter, "wait4", no_index, 0, 20);
    host.wait(writer, "write", host.pipe(parent, child));
    CHECK(host.root(waiter) == Root::deadlock);
  }
  SECTION("any child, one of which runs") {
    Host host;
    const ProcessIndex parent = host.process(10);
    const ThreadIndex waiter = host.thread(parent);
    const ThreadIndex stuck = host.thread(host.process(20, 10));
    host.thread(host.process(30, 10), 'R');
    host.wait(waiter, "wait4");
    host.wait(stuck, "futex_wait", host.futex("unknown", "private", true));
    CHECK(host.root(waiter) == Root::running);
    CHECK(host.chain(20).root == Root::nobody);
  }
  SECTION("a child that was not seen") {
    Host host;
    const ThreadIndex waiter = host.single(10);
    host.wait(waiter, "wait4", no_index, 0, 77);
    CHECK(host.root(waiter) == Root::unreadable);
  }
  SECTION("vfork: the child with the same memory, not another") {
    Host host;
    const ProcessIndex parent = host.process(10, 1, 7);
    const ThreadIndex waiter = host.thread(parent, 'D');
    const ThreadIndex child = host.thread(host.process(20, 10, 7));
    host.thread(host.process(30, 10), 'R');
    host.wait(waiter, "vfork");
    host.wait(child, "futex_wait", host.mutex(waiter));
    CHECK(host.root(waiter) == Root::deadlock);
  }
  SECTION("a leader that has ended does not speak for its threads") {
    Host host;
    const ThreadIndex waiter = host.single(10);
    const ProcessIndex other = host.process(20);
    host.thread(other, 'Z');
    host.thread(other, 'R');
    host.wait(waiter, "wait4", no_index, 0, 20);
    CHECK(host.root(waiter) == Root::running);
  }
}

TEST_CASE("a pipe is released from its other end", "[wait_graph]") {
  SECTION("two filters that both write") {
    Host host;
    const ThreadIndex a = host.single(10), b = host.single(20);
    host.wait(a, "write", host.pipe(host.of(b), host.of(a)));
    host.wait(b, "write", host.pipe(host.of(a), host.of(b)));
    CHECK(host.root(a) == Root::deadlock);
  }
  SECTION("a second writer that moves") {
    Host host;
    const ThreadIndex reader = host.single(10), writer = host.single(20), other = host.single(30);
    const ChannelIndex pipe = host.pipe(host.of(reader), host.of(writer));
    host.end(pipe, host.of(other), Role::writer);
    host.wait(reader, "read", pipe);
    host.wait(writer, "futex_wait", host.mutex(reader));
    host.wait(other, "sleep");
    CHECK(host.root(reader) == Root::timer);
  }
  SECTION("poll waits for what its own end is for") {
    Host host;
    const ThreadIndex reader = host.single(10), writer = host.single(20);
    const ChannelIndex pipe = host.pipe(host.of(reader), host.of(writer));
    host.wait(reader, "poll", pipe);
    host.wait(writer, "futex_wait", host.mutex(reader));
    CHECK(host.root(reader) == Root::deadlock);
  }
  SECTION("an end that sits in a socket's queue may turn up anywhere") {
    Host host;
    const ThreadIndex reader = host.single(10), writer = host.single(20);
    const ChannelIndex pipe = host.pipe(host.of(reader), host.of(writer));
    host.builder().natural(pipe, "writers", 2);
    host.wait(reader, "read", pipe);
    host.wait(writer, "futex_wait", host.mutex(reader));
    CHECK(host.root(reader) == Root::unreadable);
  }
  SECTION("its own pipe, which a handler may write to") {
    Host host;
    const ThreadIndex reader = host.single(10);
    host.wait(reader, "read", host.pipe(host.of(reader), host.of(reader)));
    CHECK(host.root(reader) == Root::deadlock);
    CHECK(host.root(reader, {.frozen = {}, .catches = {0}}) == Root::signal);
  }
  SECTION("a FIFO that waits to be opened, or that its server keeps open itself") {
    Host host;
    const ThreadIndex opens = host.single(10), serves = host.single(20);
    const ChannelIndex one = host.channel(Kind::fifo), two = host.channel(Kind::fifo);
    host.end(two, host.of(serves), Role::reader, 0, access_read | access_write);
    host.wait(opens, "open", one);
    host.wait(serves, "read", two);
    CHECK(host.root(opens) == Root::client);
    CHECK(host.root(serves) == Root::client);
  }
}

TEST_CASE("a socket is released from its other end", "[wait_graph]") {
  Host host;
  const ThreadIndex a = host.single(10), b = host.single(20);
  SECTION("a pair in which both wait") {
    const ChannelIndex pair = host.channel(Kind::unix_socket);
    host.end(pair, host.of(a), Role::peer, 5);
    host.end(pair, host.of(b), Role::peer, 6);
    host.wait(a, "recv", pair, 5);
    host.wait(b, "read", pair, 6);
    CHECK(host.root(a) == Root::deadlock);
  }
  SECTION("a listener, asleep in accept or poll") {
    const ChannelIndex listener = host.channel(Kind::tcp);
    host.end(listener, host.of(a), Role::listener, 5);
    host.end(listener, host.of(b), Role::listener, 5);
    host.wait(a, "accept", listener, 5);
    host.wait(b, "poll", listener, 5);
    CHECK(host.root(a) == Root::client);
    CHECK(host.root(b) == Root::client);
  }
  SECTION("connecting to a server that waits for the client") {
    const ChannelIndex listener = host.channel(Kind::unix_socket);
    host.end(listener, host.of(b), Role::listener, 6);
    host.wait(a, "connect", listener);
    host.wait(b, "futex_wait", host.mutex(a));
    CHECK(host.root(a) == Root::deadlock);
  }
  SECTION("a connection that leaves the host") {
    const ChannelIndex connection = host.channel(Kind::tcp);
    host.builder().text(connection, "state", "established");
    host.end(connection, host.of(a), Role::peer, 5);
    host.wait(a, "read", connection, 5);
    CHECK(host.root(a) == Root::remote);
  }
  SECTION("datagrams to a name come from anybody") {
    const ChannelIndex socket = host.channel(Kind::unix_socket, "/run/log");
    host.end(socket, host.of(a), Role::reader, 5);
    host.end(socket, host.of(b), Role::writer, 6);
    host.wait(a, "recv", socket, 5);
    host.wait(b, "send", socket, 6);
    CHECK(host.root(a) == Root::client);
    CHECK(host.chain(20).root == Root::client);  // its receiver waits for anybody
  }
}

TEST_CASE("file locks are released by all who have the description", "[wait_graph]") {
  Host host;
  const ThreadIndex a = host.single(10), b = host.single(20), child = host.single(30, 'R');
  SECTION("a cycle of two files") {
    const ChannelIndex one = host.channel(Kind::flock), two = host.channel(Kind::flock);
    host.end(one, host.of(a), Role::owner);
    host.end(two, host.of(b), Role::owner);
    host.wait(a, "flock", two);
    host.wait(b, "flock", one);
    CHECK(host.root(a) == Root::deadlock);
  }
  SECTION("a child has inherited it and runs") {
    const ChannelIndex one = host.channel(Kind::flock), two = host.channel(Kind::flock);
    host.end(one, host.of(a), Role::owner);
    host.end(two, host.of(b), Role::owner);
    host.end(two, host.of(child), Role::owner);
    host.wait(a, "flock", two);
    host.wait(b, "flock", one);
    CHECK(host.root(a) == Root::running);
  }
  SECTION("a record lock of its own on the same file does not release it") {
    const ChannelIndex file = host.channel(Kind::fcntl);
    host.thread(host.of(a), 'R');
    host.end(file, host.of(a), Role::owner);
    host.end(file, host.of(b), Role::owner);
    host.wait(a, "fcntl_lock", file);
    host.wait(b, "futex_wait", host.mutex(a));
    CHECK(host.root(a) == Root::deadlock);
  }
  SECTION("nobody was seen who holds it") {
    host.wait(a, "flock", host.channel(Kind::flock));
    CHECK(host.root(a) == Root::unreadable);
  }
}

TEST_CASE("epoll waits for any of what it watches", "[wait_graph]") {
  Host host;
  const ThreadIndex a = host.single(10), b = host.single(20);
  const ChannelIndex epoll = host.channel(Kind::epoll);
  host.end(epoll, host.of(a), Role::opener);
  host.wait(a, "epoll_wait", epoll);
  const ChannelIndex pipe = host.pipe(host.of(a), host.of(b));
  SECTION("of two pipes one writer moves") {
    const ThreadIndex other = host.single(30);
    const ChannelIndex second = host.pipe(host.of(a), host.of(other));
    host.snapshot().watched = {{epoll, pipe, 0, false}, {epoll, second, 0, false}};
    host.wait(b, "futex_wait", host.mutex(a));
    host.wait(other, "sleep");
    CHECK(host.root(a) == Root::timer);
    CHECK(host.chain(20).root == Root::timer);
  }
  SECTION("two that watch each other's pipes") {
    const ChannelIndex back = host.pipe(host.of(b), host.of(a));
    const ChannelIndex theirs = host.channel(Kind::epoll);
    host.snapshot().watched = {{epoll, pipe, 0, false}, {theirs, back, 0, false}};
    host.wait(b, "epoll_wait", theirs);
    CHECK(host.root(a) == Root::deadlock);
  }
  SECTION("what it watches is not known") {
    host.wait(b, "sleep");
    CHECK(host.root(a) == Root::unreadable);
  }
  SECTION("one inside the other, and round") {
    const ChannelIndex inner = host.channel(Kind::epoll);
    host.snapshot().watched = {
        {epoll, inner, 0, false}, {inner, pipe, 0, false}, {inner, epoll, 0, false}};
    host.wait(b, "futex_wait", host.mutex(a));
    CHECK(host.root(a) == Root::deadlock);
  }
}

TEST_CASE("counters, timers and terminals", "[wait_graph]") {
  Host host;
  const ThreadIndex a = host.single(10), b = host.single(20);
  SECTION("an eventfd that two processes share") {
    const ChannelIndex event = host.channel(Kind::eventfd);
    host.end(event, host.of(a), Role::opener);
    host.end(event, host.of(b), Role::opener);
    host.wait(a, "read", event);
    host.wait(b, "read", event);
    CHECK(host.root(a) == Root::deadlock);
  }
  SECTION("an eventfd that nobody else has, but perhaps the kernel") {
    const ChannelIndex event = host.channel(Kind::eventfd);
    host.end(event, host.of(a), Role::opener);
    host.wait(a, "read", event);
    CHECK(host.root(a) == Root::device);
  }
  SECTION("a timer that is set") {
    const ChannelIndex timer = host.channel(Kind::timerfd);
    host.builder().natural(timer, "remaining_ms", 5);
    host.end(timer, host.of(a), Role::opener);
    host.wait(a, "read", timer);
    CHECK(host.root(a) == Root::timer);
  }
  SECTION("a terminal is typed at, but its output is read by a process") {
    const ChannelIndex pty = host.channel(Kind::pty);
    host.end(pty, host.of(a), Role::slave);
    host.end(pty, host.of(b), Role::master);
    const ThreadIndex types = host.single(30);
    host.end(pty, host.of(types), Role::slave);
    host.wait(a, "write", pty);
    host.wait(types, "read", pty);
    host.wait(b, "wait4", no_index, 0, 10);
    CHECK(host.root(types) == Root::terminal);
    CHECK(host.chain(10).root == Root::deadlock);
  }
  SECTION("System V: everybody may") {
    host.wait(a, "semop", host.channel(Kind::sem));
    CHECK(host.root(a) == Root::client);
  }
}

TEST_CASE("frozen processes and threads of the kernel", "[wait_graph]") {
  Host host;
  const ThreadIndex waiter = host.single(10), frozen = host.single(20);
  host.wait(waiter, "futex_wait", host.mutex(frozen));
  host.wait(frozen, "futex_wait", host.mutex(waiter));
  CHECK(host.root(waiter, {.frozen = {host.of(frozen)}, .catches = {}}) == Root::stopped);
  CHECK(host.root(waiter) == Root::deadlock);
}

TEST_CASE("releasers are threads, each once, up to a limit", "[wait_graph]") {
  Host host;
  const ThreadIndex reader = host.single(10);
  const ProcessIndex writer = host.process(20);
  const ThreadIndex first = host.thread(writer, 'R');
  host.thread(writer, 'R');
  const ChannelIndex pipe = host.pipe(host.of(reader), writer);
  host.end(pipe, writer, Role::writer);
  host.end(pipe, host.of(reader), Role::writer);
  host.wait(reader, "read", pipe);
  const Snapshot snapshot = host.builder().finish();
  const WaitGraph graph(snapshot, {});
  CHECK(graph.releasers(0, 100) == std::vector<ThreadIndex>{first, first + 1});
  CHECK(graph.releasers(0, 1).size() == 1);
}

}  // namespace ipcscope
