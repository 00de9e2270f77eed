// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/reference_proof.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <catch2/catch.hpp>
#include <cstring>

#include "tests/unit/mechanism_support.h"

using namespace ipcscope;

namespace {

constexpr uint32_t chosen = 100;
constexpr uint32_t other = 200;
constexpr uint32_t third = 300;
constexpr uint64_t file = 0xf1, peer_file = 0xf2;
constexpr uint64_t dentry = 0xd1;

/// A proof about one process, with what a walk would tell.
class Trial {
 public:
  explicit Trial(bool elsewhere = false)
      : proof({chosen},
              [elsewhere](const InetAddress& /*to*/, uint32_t /*ns*/) { return elsewhere; }) {}

  /// Each process has a table, memory and credentials that are named after it.
  void task(uint32_t pid, uint32_t parent, uint64_t start = 0) {
    thread_record thread = make_thread(pid, parent);
    thread.start_ns = start;
    proof.take_thread(thread);
  }
  static thread_record make_thread(uint32_t pid, uint32_t parent) {
    auto thread = make_test_record<thread_record>(RECORD_THREAD, pid);
    thread.tid = pid;
    thread.ppid = parent;
    thread.files = table_of(pid);
    thread.mm = pid + 0x2000;
    thread.credentials = pid + 0x3000;
    thread.syscall = -1;
    return thread;
  }
  static uint64_t table_of(uint32_t pid) { return pid + 0x1000; }

  reference_record descriptor(uint32_t pid, int fd, uint64_t of, u32 count, u32 openings = 1) {
    auto found = make_test_record<reference_record>(RECORD_REFERENCES, pid);
    found.fd = fd;
    found.table = table_of(pid);
    found.references = {of, pid + 0x3000, dentry, count, openings};
    return found;
  }
  void has(uint32_t pid, int fd, uint64_t of, u32 count, u32 openings = 1) {
    proof.take(descriptor(pid, fd, of, count, openings).head);
  }
  void maps(uint32_t pid, uint64_t start, uint64_t of, u32 count, u32 openings = 1) {
    auto mapping = make_test_record<mapping_record>(RECORD_MAPPING, pid);
    mapping.start = start;
    mapping.references = {of, pid + 0x3000, dentry, count, openings};
    proof.take_mapping(mapping);
  }
  void connection(uint32_t pid, u16 local, u16 remote, u16 family = AF_INET, u16 state = 1) {
    auto socket = make_test_record<inet_record>(RECORD_INET, pid);
    socket.family = family;
    socket.protocol = IPPROTO_TCP;
    socket.state = state;
    const u8 v4[4] = {127, 0, 0, 1};
    for (u8* address : {socket.local, socket.remote}) {
      if (family == AF_INET6) {
        address[10] = address[11] = 0xff;
        std::memcpy(address + 12, v4, 4);
      } else {
        std::memcpy(address, v4, 4);
      }
    }
    socket.local_port = local;
    socket.remote_port = remote;
    proof.take(socket.file.head);
  }

  ReferenceProof proof;
};

}  // namespace

TEST_CASE("nothing is missing where every reference was seen") {
  Trial trial;
  trial.task(chosen, 1);
  CHECK(trial.proof.is_complete());
  trial.has(chosen, 3, file, 2);
  CHECK_FALSE(trial.proof.is_complete());
  trial.has(chosen, 3, file, 2);  // the walk paused and came again
  CHECK_FALSE(trial.proof.is_complete());
  trial.has(chosen, 4, file, 2);
  CHECK(trial.proof.is_complete());
}

TEST_CASE("a mapping holds a reference") {
  Trial trial;
  trial.task(chosen, 1);
  trial.has(chosen, 3, file, 3);
  trial.maps(chosen, 0x10000, file, 3);
  CHECK_FALSE(trial.proof.is_complete());
  REQUIRE(trial.proof.missing());
  CHECK(trial.proof.missing()->memory);
  trial.maps(chosen, 0x20000, file, 3);
  CHECK(trial.proof.is_complete());
}

TEST_CASE("a mapping that nobody else can make matter is none") {
  Trial trial;
  trial.task(chosen, 1);
  trial.maps(chosen, 0x10000, 0, 7);
  CHECK(trial.proof.is_complete());
}

TEST_CASE("unknown counts prove nothing") {
  Trial trial;
  trial.task(chosen, 1);
  SECTION("references") {
    trial.has(chosen, 3, file, UNKNOWN_U32);
    CHECK_FALSE(trial.proof.is_complete());
    CHECK(trial.proof.missing()->files == std::vector{file});
  }
  SECTION("openings") {
    trial.has(chosen, 3, file, 1, UNKNOWN_U32);
    CHECK_FALSE(trial.proof.is_complete());
    CHECK_FALSE(trial.proof.missing());
  }
}

TEST_CASE("another opening of the same thing is looked for") {
  Trial trial;
  trial.task(chosen, 1);
  trial.task(other, 1);
  trial.has(chosen, 3, file, 1, 2);
  CHECK_FALSE(trial.proof.is_complete());
  REQUIRE(trial.proof.missing());
  CHECK(trial.proof.missing()->dentries == std::vector{dentry});
  CHECK(trial.proof.missing()->files.empty());
  CHECK_FALSE(trial.proof.missing()->memory);
  CHECK(trial.proof.next() == other);
  SECTION("and found") {
    trial.has(other, 5, peer_file, 1, 2);
    CHECK(trial.proof.is_complete());
  }
  SECTION("and who else has that") {
    trial.has(other, 5, peer_file, 2, 2);
    CHECK_FALSE(trial.proof.is_complete());
    CHECK(trial.proof.missing()->files == std::vector{peer_file});
  }
}

TEST_CASE("what only another process has does not matter") {
  Trial trial;
  trial.task(chosen, 1);
  trial.task(other, 1);
  auto found = trial.descriptor(other, 3, file, 9, 9);
  trial.proof.take(found.head);
  CHECK(trial.proof.is_complete());
}

TEST_CASE("the other end of a socket has to be found") {
  Trial trial;
  trial.task(chosen, 1);
  trial.task(other, 7);
  auto held = trial.descriptor(chosen, -1, peer_file, 1);
  held.references.credentials = other + 0x3000;
  trial.proof.take(held.head);
  CHECK_FALSE(trial.proof.is_complete());
  // Not kin: the one that opened it.
  CHECK(trial.proof.next() == other);
  trial.has(other, 8, peer_file, 1);
  CHECK(trial.proof.is_complete());
}

TEST_CASE("who shares a table or memory is named first") {
  Trial trial;
  trial.task(chosen, 1);
  trial.task(other, 1);
  thread_record sharer = Trial::make_thread(third, 1);
  SECTION("a table") { sharer.files = Trial::table_of(chosen); }
  SECTION("memory") { sharer.mm = chosen + 0x2000; }
  trial.proof.take_thread(sharer);
  CHECK_FALSE(trial.proof.is_complete());
  CHECK_FALSE(trial.proof.missing());
  CHECK(trial.proof.next() == third);
  CHECK(trial.proof.is_complete());
}

TEST_CASE("a shared table counts once") {
  Trial trial;
  trial.task(chosen, 1);
  thread_record sharer = Trial::make_thread(third, 1);
  sharer.files = Trial::table_of(chosen);
  trial.proof.take_thread(sharer);
  trial.has(chosen, 3, file, 2);
  auto again = trial.descriptor(third, 3, file, 2);
  again.table = Trial::table_of(chosen);
  CHECK(trial.proof.next() == third);
  trial.proof.take(again.head);
  CHECK_FALSE(trial.proof.is_complete());
}

TEST_CASE("kin are named by distance") {
  Trial trial;
  trial.task(1, 0);
  trial.task(50, 1);
  trial.task(chosen, 50, 30);
  trial.task(101, 50, 20);
  trial.task(102, 50, 10);
  trial.task(103, chosen, 40);
  trial.task(104, 103, 50);
  trial.task(105, 104, 60);
  trial.has(chosen, 3, file, 2);
  std::vector<uint32_t> named;
  while (const uint32_t pid = trial.proof.next()) {
    named.push_back(pid);
  }
  CHECK(named == std::vector<uint32_t>{50, 101, 103, 1, 102, 104, 105});
}

TEST_CASE("only a few of many are looked at one by one") {
  Trial trial;
  trial.task(chosen, 1);
  for (uint32_t pid = 1000; pid < 1100; pid++) {
    thread_record sharer = Trial::make_thread(pid, 1);
    sharer.files = Trial::table_of(chosen);
    trial.proof.take_thread(sharer);
  }
  size_t named = 0;
  while (trial.proof.next() != 0) {
    named++;
  }
  CHECK(named == 16);
  CHECK_FALSE(trial.proof.is_complete());
}

TEST_CASE("both ends of a connection") {
  Trial trial;
  trial.task(chosen, 1);
  trial.connection(chosen, 80, 5000);
  CHECK_FALSE(trial.proof.is_complete());
  CHECK_FALSE(trial.proof.missing());
  SECTION("of one family") { trial.connection(chosen, 5000, 80); }
  SECTION("of two families") { trial.connection(chosen, 5000, 80, AF_INET6); }
  SECTION("in two processes") { trial.connection(other, 5000, 80); }
  CHECK(trial.proof.is_complete());
}

TEST_CASE("a listener has no other end") {
  Trial trial;
  trial.task(chosen, 1);
  trial.connection(chosen, 80, 0, AF_INET, 10);
  CHECK(trial.proof.is_complete());
}

TEST_CASE("a connection that leaves the host") {
  Trial trial(true);
  trial.task(chosen, 1);
  trial.connection(chosen, 80, 5000);
  CHECK(trial.proof.is_complete());
}

TEST_CASE("a thread that waits at an address proves nothing") {
  Trial trial;
  thread_record thread = Trial::make_thread(chosen, 1);
  SECTION("that it connects to") { thread.syscall = SYS_connect; }
  SECTION("that it sends to") {
    thread.syscall = SYS_sendto;
    thread.args[4] = 0x7000;
  }
  trial.proof.take_thread(thread);
  CHECK_FALSE(trial.proof.is_complete());
  CHECK_FALSE(trial.proof.missing());
  CHECK(trial.proof.next() == 0);
}

TEST_CASE("a terminal cannot be found by its dentry") {
  Trial trial;
  trial.task(chosen, 1);
  auto slave = trial.descriptor(chosen, 0, file, 1, 2);
  slave.terminal = 1;
  trial.proof.take(slave.head);
  CHECK_FALSE(trial.proof.is_complete());
  CHECK_FALSE(trial.proof.missing());
}
