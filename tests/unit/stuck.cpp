// SPDX-License-Identifier: GPL-2.0-or-later
#include "analysis/stuck.h"

#include <fcntl.h>
#include <sys/syscall.h>

#include <catch2/catch.hpp>

#include "analysis/wait_words.h"
#include "tests/unit/paper_host.h"

namespace ipcscope {
namespace {

/// The findings on a host, with a limit of 10 seconds.
std::vector<Finding> findings(Host& host, const WaitFacts& facts = {}) {
  const Snapshot snapshot = host.take();
  const WaitGraph graph(snapshot, facts);
  return find_stuck({snapshot, graph, facts});
}

std::string rules(const std::vector<Finding>& findings) {
  std::string text;
  for (const Finding& each : findings) {
    text += text.empty() ? "" : " ";
    text += each.rule;
  }
  return text;
}

std::string evidence(const Finding& finding, std::string_view key) {
  for (const Evidence& each : finding.evidence) {
    if (each.key == key) {
      return each.text;
    }
  }
  return {};
}

/// A semaphore or the like, which nobody owns.
ChannelIndex ownerless(Host& host, const char* primitive) {
  const ChannelIndex made = host.futex("none by design");
  host.builder().text(made, "primitive", primitive);
  return made;
}

}  // namespace

TEST_CASE("a deadlock is told as a sentence and with arrows", "[stuck]") {
  Host host;
  const ThreadIndex a = host.single(10), b = host.single(20), behind = host.single(30);
  host.name(0, "left");
  host.name(1, "right");
  const ChannelIndex file = host.channel(Kind::flock);
  host.end(file, host.of(a), Role::owner);
  const ChannelIndex pipe = host.pipe(host.of(a), host.of(b));
  host.wait(a, "read", pipe);
  host.wait(b, "flock", file);
  host.wait(behind, "flock", file);
  host.asleep(a, 1);
  host.asleep(b, 1);
  host.asleep(behind, 60);
  const std::vector<Finding> found = findings(host);
  REQUIRE(rules(found) == "deadlock stuck");
  CHECK(found[0].severity == Severity::critical);
  CHECK(found[0].pids == std::vector<int32_t>{10, 20});
  CHECK(found[0].tids == std::vector<int32_t>{10, 20});
  CHECK(evidence(found[0], "cycle").find("right[20] has the write end of pipe:") !=
        std::string::npos);
  CHECK(evidence(found[0], "arrows").find(" -> ") != std::string::npos);
  CHECK(found[1].tids == std::vector<int32_t>{30});
  CHECK(found[1].summary.find("behind the deadlock of") != std::string::npos);
}

TEST_CASE("a thread that needs any other of a deadlocked process is behind it", "[stuck]") {
  Host host;
  const ProcessIndex process = host.process(10);
  const ThreadIndex main = host.thread(process), a = host.thread(process), b = host.thread(process);
  host.wait(main, "futex_wait", ownerless(host, "condvar"));
  const ChannelIndex first = host.mutex(a), second = host.mutex(b);
  host.wait(a, "futex_wait", second);
  host.wait(b, "futex_wait", first);
  host.asleep(main, 60);
  const std::vector<Finding> found = findings(host);
  REQUIRE(rules(found) == "deadlock stuck");
  CHECK(found[0].tids == std::vector<int32_t>{11, 12});
  CHECK(found[1].tids == std::vector<int32_t>{10});
}

TEST_CASE("a semaphore of a process that catches signals is suspected", "[stuck]") {
  for (const bool catches : {false, true}) {
    Host host;
    const ProcessIndex process = host.process(10);
    const ThreadIndex a = host.thread(process), b = host.thread(process);
    host.wait(a, "futex_wait", host.mutex(b));
    host.wait(b, "futex_wait", ownerless(host, "semaphore"));
    WaitFacts facts;
    if (catches) {
      facts.catches.insert(process);
    }
    const std::vector<Finding> found = findings(host, facts);
    REQUIRE(rules(found) == "deadlock");
    CHECK(found[0].severity == (catches ? Severity::warning : Severity::critical));
    CHECK(evidence(found[0], "suspected").empty() != catches);
  }
}

TEST_CASE("what nobody owns and nobody is left to wake is a warning", "[stuck]") {
  Host host;
  host.wait(host.single(10), "futex_wait", ownerless(host, "condvar"));
  const std::vector<Finding> found = findings(host);
  REQUIRE(rules(found) == "deadlock");
  CHECK(found[0].severity == Severity::warning);
  CHECK_FALSE(evidence(found[0], "ownerless").empty());
}

TEST_CASE("an owner that died is told once for all who wait", "[stuck]") {
  Host host;
  const ChannelIndex mutex = host.futex("unknown", "private", true);
  const ThreadIndex a = host.single(10), b = host.single(20);
  host.wait(a, "futex_wait", mutex);
  host.wait(b, "futex_wait", mutex);
  host.asleep(a, 60);
  const std::vector<Finding> found = findings(host);
  REQUIRE(rules(found) == "owner-died");
  CHECK(found[0].tids == std::vector<int32_t>{10, 20});
}

TEST_CASE("the end of a pipe that an heir keeps open", "[stuck]") {
  struct Case {
    const char* what;
    const char* operation;
    int fd;
    int parent;
    uint64_t asleep;
    uint64_t reader;
    const char* rules;
  };
  for (const Case& each : {
           Case{"an heir that sleeps", "sigwait", 5, 1, 60, 60, "missed-eof"},
           Case{"since before", "sigwait", 5, 1, 90, 60, "missed-eof"},
           Case{"it ran meanwhile: it may be the writer", "sigwait", 5, 1, 20, 60, ""},
           Case{"not for long", "sigwait", 5, 1, 60, 5, ""},
           Case{"a quiet writer, on its standard output", "sigwait", 1, 1, 60, 60, ""},
           Case{"it waits for input", "read", 5, 1, 60, 60, ""},
           Case{"it sleeps for a time", "sleep", 5, 1, 60, 60, ""},
       }) {
    INFO(each.what);
    Host host;
    const ProcessIndex reading = host.process(10), holding = host.process(20, each.parent);
    const ThreadIndex reader = host.thread(reading), heir = host.thread(holding);
    const ChannelIndex pipe = host.channel(Kind::pipe);
    host.hold(pipe, reading, Role::reader, 3);
    host.hold(pipe, holding, Role::writer, each.fd);
    host.wait(reader, "read", pipe);
    host.wait(heir, each.operation);
    host.asleep(reader, each.reader);
    host.asleep(heir, each.asleep);
    const std::vector<Finding> found = findings(host);
    CHECK(rules(found) == each.rules);
    if (!found.empty()) {
      CHECK(found[0].pids == std::vector<int32_t>{10, 20});
      CHECK(evidence(found[0], "holder").find("descriptor 5") != std::string::npos);
    }
  }
  SECTION("the reader's parent may want its own end noticed") {
    Host host;
    const ProcessIndex parent = host.process(10), child = host.process(20, 10);
    const ThreadIndex holder = host.thread(parent), reader = host.thread(child);
    const ChannelIndex pipe = host.channel(Kind::pipe);
    host.hold(pipe, child, Role::reader, 3);
    host.hold(pipe, parent, Role::writer, 4);
    host.wait(holder, "sigwait");
    host.wait(reader, "read", pipe);
    host.asleep(holder, 60);
    host.asleep(reader, 60);
    CHECK(findings(host).empty());
  }
}

TEST_CASE("a channel that nobody drains", "[stuck]") {
  struct Case {
    const char* reader;
    uint64_t seconds;
    const char* rules;
  };
  for (const Case& each : {Case{"sigwait", 60, "full-channel"}, Case{"sigwait", 5, ""},
                           Case{"sleep", 60, "full-channel"}}) {
    Host host;
    const ThreadIndex writer = host.single(10), reader = host.single(20);
    host.wait(writer, "write", host.pipe(host.of(reader), host.of(writer)));
    host.wait(reader, each.reader);
    host.asleep(writer, each.seconds);
    const std::vector<Finding> found = findings(host);
    CHECK(rules(found) == each.rules);
    if (!found.empty()) {
      CHECK(found[0].pids == std::vector<int32_t>{10, 20});
      CHECK(found[0].tids == std::vector<int32_t>{10});
    }
  }
  SECTION("a counter at its end") {
    Host host;
    const ThreadIndex writer = host.single(10), reader = host.single(20);
    const ChannelIndex counter = host.channel(Kind::eventfd);
    host.end(counter, host.of(writer), Role::opener);
    host.end(counter, host.of(reader), Role::opener);
    host.wait(writer, "write", counter);
    host.wait(reader, "sleep");
    host.asleep(writer, 60);
    CHECK(rules(findings(host)) == "full-channel");
  }
  SECTION("work may take its time") {
    Host host;
    const ThreadIndex writer = host.single(10), reader = host.single(20, 'R');
    host.wait(writer, "write", host.pipe(host.of(reader), host.of(writer)));
    host.asleep(writer, 60);
    CHECK(findings(host).empty());
  }
  SECTION("a person may take the time") {
    Host host;
    const ThreadIndex writer = host.single(10), pager = host.single(20);
    host.wait(writer, "write", host.pipe(host.of(pager), host.of(writer)));
    const ChannelIndex terminal = host.channel(Kind::pty);
    host.end(terminal, host.of(pager), Role::slave);
    host.wait(pager, "read", terminal);
    host.asleep(writer, 60);
    CHECK(findings(host).empty());
  }
}

TEST_CASE("behind what is stopped or uninterruptible", "[stuck]") {
  for (const char state : {'T', 't', 'D', 'R'}) {
    Host host;
    const ThreadIndex a = host.single(10), b = host.single(20), holder = host.single(30, state);
    const ChannelIndex mutex = host.mutex(holder);
    host.wait(a, "futex_wait", mutex);
    host.wait(b, "futex_wait", mutex);
    host.asleep(a, 60);
    host.asleep(b, 60);
    if (state == 'D') {
      host.wait(holder, "fsync");
      host.asleep(holder, 60);
    }
    const std::vector<Finding> found = findings(host);
    if (state == 'R') {
      CHECK(found.empty());
      continue;
    }
    REQUIRE(rules(found) == "stuck");
    CHECK(found[0].tids ==
          (state == 'D' ? std::vector<int32_t>{10, 20, 30} : std::vector<int32_t>{10, 20}));
  }
  SECTION("not where somebody else could act too") {
    Host host;
    const ThreadIndex reader = host.single(10), stopped = host.single(20, 'T');
    const ThreadIndex other = host.single(30, 'R');
    const ChannelIndex pipe = host.pipe(host.of(reader), host.of(stopped));
    host.end(pipe, host.of(other), Role::writer);
    host.wait(reader, "read", pipe);
    host.asleep(reader, 60);
    CHECK(findings(host).empty());
    CHECK(host.snapshot().waits.empty());  // they went into the snapshot
  }
}

TEST_CASE("a FIFO that nobody else opens is for information", "[stuck]") {
  for (const int flags : {O_RDONLY, O_WRONLY}) {
    Host host;
    const ThreadIndex opener = host.single(10);
    host.wait(opener, "open", host.channel(Kind::fifo));
    host.asleep(opener, 60);
    host.snapshot().threads[opener].syscall = SYS_openat;
    host.snapshot().threads[opener].args[2] = static_cast<uint64_t>(flags);
    const std::vector<Finding> found = findings(host);
    REQUIRE(rules(found) == (flags == O_RDONLY ? "no-writer" : "no-reader"));
    CHECK(found[0].severity == Severity::info);
  }
}

TEST_CASE("idle servers are neither findings nor long waits", "[stuck]") {
  Host host;
  const ThreadIndex poller = host.single(10), signals = host.single(20), worker = host.single(30);
  const ThreadIndex main = host.thread(host.of(worker));
  const ChannelIndex listener = host.channel(Kind::tcp);
  host.end(listener, host.of(poller), Role::listener);
  host.wait(poller, "accept", listener);
  host.wait(signals, "sigwait");
  host.wait(worker, "futex_wait", ownerless(host, "condvar"));
  host.wait(main, "sigwait");
  for (const ThreadIndex each : {poller, signals, worker, main}) {
    host.asleep(each, 86400);
  }
  const Snapshot snapshot = host.take();
  const WaitGraph graph(snapshot, {});
  const StuckQuestion question = {snapshot, graph, {}};
  CHECK(find_stuck(question).empty());
  CHECK(long_waits(question).empty());
  const WaitCounts counts = count_waits(snapshot, graph);
  CHECK(counts.threads == 4);
  CHECK(counts.waiting == 4);
  CHECK(counts.unreadable == 0);
  CHECK(counts.ownerless == 1);
}

TEST_CASE("who waits long for a holder at work is told, without a finding", "[stuck]") {
  Host host;
  const ThreadIndex waiter = host.single(10), holder = host.single(20, 'R');
  host.wait(waiter, "futex_wait", host.mutex(holder));
  host.asleep(waiter, 60);
  const Snapshot snapshot = host.take();
  const WaitGraph graph(snapshot, {});
  CHECK(find_stuck({snapshot, graph, {}}).empty());
  CHECK(long_waits({snapshot, graph, {}}) == std::vector<ThreadIndex>{0});
  CHECK(long_waits({snapshot, graph, {}, 90'000'000'000}).empty());
}

TEST_CASE("waits in words", "[stuck]") {
  Host host;
  const ThreadIndex writer = host.single(10), reader = host.single(20), sleeper = host.single(30);
  const ChannelIndex pipe = host.pipe(host.of(reader), host.of(writer));
  Channel& made = host.builder().channel(pipe);
  made.depth_bytes = made.capacity_bytes = 65536;
  host.wait(writer, "write", pipe);
  host.wait(reader, "wait4", no_index, 0, 10);
  host.wait(sleeper, "sleep", no_index, 0, 0, 4'000'000'000);
  host.asleep(sleeper, 1);
  Thread& thread = host.snapshot().threads[writer];
  thread.syscall = SYS_write;
  thread.args[2] = 4096;
  host.name(0, "w");
  const Snapshot snapshot = host.take();
  CHECK(wait_text(snapshot, snapshot.waits[0]) == "write 4096 B to pipe:1 (65536 of 65536 B)");
  CHECK(releaser_role(snapshot, snapshot.waits[0]) == "reader");
  CHECK(wait_text(snapshot, snapshot.waits[1]) == "wait4 for w[10]");
  CHECK(releaser_role(snapshot, snapshot.waits[1]) == "child");
  const WaitGraph graph(snapshot, {});
  CHECK(root_text(snapshot, graph.chain(sleeper)) == "sleeping on a timer, 3.0s at most");
}

TEST_CASE("a caller over D-Bus waits for a service, not for a client", "[stuck]") {
  for (const char* name : {"dbus-daemon", "dbus-broker", "server"}) {
    INFO(name);
    const bool is_bus = std::string_view(name) != "server";
    Host host;
    const ThreadIndex caller = host.single(10), daemon = host.single(20), late = host.single(30);
    const ThreadIndex sender = host.single(40);
    host.name(host.of(daemon), name);
    const auto connect = [&](ThreadIndex thread, uint32_t inode) {
      const ChannelIndex socket = host.channel(Kind::unix_socket);
      host.end(socket, host.of(thread), Role::peer, inode);
      host.end(socket, host.of(daemon), Role::peer, inode + 1);
      return socket;
    };
    host.wait(caller, "recv", connect(caller, 100), 100);
    host.wait(late, "poll", connect(late, 200), 200, 0, 25'000'000'000);
    host.wait(sender, "send", connect(sender, 300), 300);
    const ChannelIndex listener = host.channel(Kind::unix_socket);
    host.end(listener, host.of(daemon), Role::listener, 900);
    host.wait(daemon, "accept", listener, 900);
    const Snapshot snapshot = host.take();
    const WaitGraph graph(snapshot, {});
    const auto note = [&](ThreadIndex thread) {
      return wait_note(snapshot, snapshot.waits[snapshot.threads[thread].first_wait]);
    };
    const std::string expected =
        is_bus ? std::string(name) + "[20] passes calls on; to which service it cannot be told"
               : "";
    CHECK(note(caller) == expected);
    CHECK(note(late) == expected);
    CHECK(note(sender).empty());  // the daemon itself has to make room
    CHECK(note(daemon).empty());
    CHECK(graph.chain(caller).root == Root::client);
    CHECK(root_text(snapshot, graph.chain(caller)) ==
          (is_bus ? "waiting for the reply of a D-Bus service behind " + std::string(name) +
                        "[20], or for a message of one"
                  : "waiting for a client"));
    for (const ThreadIndex each : {daemon, sender}) {
      CHECK(root_text(snapshot, graph.chain(each)) == "waiting for a client");
    }
    CHECK(root_text(snapshot, graph.chain(late)).starts_with("sleeping on a timer"));
  }
}

}  // namespace ipcscope
