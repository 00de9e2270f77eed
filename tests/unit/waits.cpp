// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/waits.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <future>
#include <thread>
#include <vector>

#include "bpf/thread.h"
#include "collectors/descriptor_ends.h"
#include "collectors/syscalls.h"
#include "collectors/target_memory.h"
#include "collectors/waits_paths.h"

using namespace ipcscope;

namespace {

uint64_t address_of(const void* object) { return reinterpret_cast<uint64_t>(object); }

/// A host with threads of our own process, so that their memory can be read.
class Host {
 public:
  ChannelIndex pipe(int fd, Role role) {
    const ChannelIndex channel = builder_.add_channel(Kind::pipe, "pipe:" + std::to_string(fd));
    Endpoint endpoint;
    endpoint.channel = channel;
    endpoint.process = 0;
    endpoint.fd = fd;
    endpoint.role = role;
    builder_.add_endpoint(endpoint);
    return channel;
  }
  SnapshotBuilder& builder() { return builder_; }

  void thread(int tid, int64_t number, std::initializer_list<uint64_t> args, char state = 'S') {
    thread_record made{};
    made.head = {RECORD_THREAD, sizeof made, static_cast<u32>(::getpid())};
    made.tid = made.ns_tid = static_cast<u32>(tid);
    made.ns_pid = static_cast<u32>(::getpid());
    made.state = static_cast<unsigned char>(state);
    made.syscall = number;
    std::copy(args.begin(), args.end(), made.args);
    made.stack = made.instruction = 0x7fff00000000;
    made.mm = 0xffff888000001000;
    made.blocked_ns = made.last_run_ns = made.switches = UNKNOWN_U64;
    made.pid_ns = assembly_.own_pid_ns;
    made.ipc_ns = assembly_.own_ipc_ns;
    made.net_ns = assembly_.own_net_ns;
    made.mnt_ns = assembly_.own_mnt_ns;
    assembly_.add_thread(made);
  }
  const Snapshot& finish() {
    waits_mechanism.make()->finish(assembly_);
    snapshot_ = builder_.finish();
    return snapshot_;
  }
  /// "operation channel" of each wait of a thread, with a comma between.
  [[nodiscard]] std::string waits(int tid) const {
    std::string all;
    for (const Wait& wait : snapshot_.waits_of(*snapshot_.thread(tid))) {
      all += all.empty() ? "" : ",";
      all += wait.operation;
      if (wait.channel != no_index) {
        all += " " + std::string(snapshot_.channels[wait.channel].id);
      }
    }
    return all;
  }
  [[nodiscard]] const Wait& wait(int tid) const {
    return snapshot_.waits_of(*snapshot_.thread(tid)).front();
  }

 private:
  ProcRoot proc_ = std::move(*ProcRoot::open());
  SnapshotBuilder builder_;
  Request request_;
  Assembly assembly_{builder_, proc_, request_};
  Snapshot snapshot_;
};

/// Threads of this process that exist until the end of the test, so that memory can be read through
/// their numbers.
class Parked {
 public:
  explicit Parked(size_t count) {
    std::promise<int> numbers[8];
    for (size_t i = 0; i < count; i++) {
      threads_.emplace_back([this, &number = numbers[i]] {
        number.set_value(static_cast<int>(::syscall(SYS_gettid)));
        end_.wait();
      });
      tids_.push_back(numbers[i].get_future().get());
    }
  }
  ~Parked() {
    ended_.set_value();
    for (std::thread& thread : threads_) {
      thread.join();
    }
  }
  Parked(const Parked&) = delete;
  Parked& operator=(const Parked&) = delete;
  [[nodiscard]] int tid(size_t index) const { return tids_[index]; }

 private:
  std::promise<void> ended_;
  std::shared_future<void> end_ = ended_.get_future().share();
  std::vector<std::thread> threads_;
  std::vector<int> tids_;
};

int own() { return ::getpid(); }

}  // namespace

TEST_CASE("system calls: the table finds each by its number", "[waits]") {
  REQUIRE(find_system_call(SYS_read));
  CHECK(std::string(find_system_call(SYS_mq_timedreceive)->operation) == "mq_receive");
  CHECK(find_system_call(SYS_futex)->blocking == Blocking::futex);
  CHECK_FALSE(find_system_call(-1));
  CHECK_FALSE(find_system_call(511));
  CHECK_FALSE(find_system_call(int64_t{1} << 40));
}

TEST_CASE("target memory: what cannot be read does not spoil its neighbours", "[waits]") {
  TargetMemory memory(true);
  const uint64_t first = 17, last = 18;
  const auto a = memory.add(1, own(), address_of(&first), sizeof first);
  const auto b = memory.add(1, own(), 8, 8);
  const auto c = memory.add(1, own(), address_of(&last), sizeof last);
  const auto d = memory.add(2, own(), address_of(&first), sizeof first);
  CHECK(memory.add(1, own(), 0, 8) == TargetMemory::none);
  memory.run();
  CHECK(memory.value<uint64_t>(a) == 17U);
  CHECK_FALSE(memory.value<uint64_t>(b));
  CHECK(memory.value<uint64_t>(c) == 18U);
  CHECK(memory.value<uint64_t>(d) == 17U);
  CHECK(memory.bytes(TargetMemory::none).empty());
  CHECK(memory.refused() == 0);
  const std::string text(5000, 'x');
  CHECK(memory.read_string(own(), address_of(text.c_str()), 8192) == text);
  CHECK_FALSE(memory.read_string(own(), address_of(text.c_str()), 4096));
  TargetMemory off(false);
  const auto e = off.add(1, own(), address_of(&first), sizeof first);
  off.run();
  CHECK_FALSE(off.value<uint64_t>(e));
}

TEST_CASE("waits: paths are cleaned without looking", "[waits]") {
  CHECK(clean_path("/a//b/./c/../d/") == "/a/b/d");
  CHECK(clean_path("/../..") == "/");
  CHECK(clean_path("") == "/");
}

TEST_CASE("waits: descriptors, by the role that the operation needs", "[waits]") {
  Host host;
  host.pipe(3, Role::reader);
  host.pipe(4, Role::writer);
  const ChannelIndex lock = host.builder().add_channel(Kind::flock, "flock:/x");
  Endpoint holder;
  holder.channel = lock;
  holder.process = 0;
  holder.fd = 9;
  holder.role = Role::owner;
  host.builder().add_endpoint(holder);
  host.thread(own(), SYS_read, {3});
  host.thread(1000001, SYS_write, {4}, 'D');
  host.thread(1000002, SYS_read, {9});
  host.thread(1000003, SYS_read, {3}, 'R');
  host.thread(1000004, -1, {});
  host.thread(1000005, 500, {});
  host.finish();
  CHECK(host.waits(own()) == "read pipe:3");
  CHECK(host.waits(1000001) == "write pipe:4");
  CHECK(host.waits(1000002) == "read");  // who holds a lock does not wait at it when reading
  CHECK(host.waits(1000003).empty());
  CHECK(host.waits(1000004).empty());
  CHECK(host.waits(1000005) == "unknown");
}

TEST_CASE("waits: poll and select read what is watched", "[waits]") {
  Host host;
  host.pipe(3, Role::reader);
  host.pipe(70, Role::reader);
  const pollfd polled[] = {{3, POLLIN, 0}, {-1, POLLIN, 0}, {70, POLLIN, 0}, {12, POLLIN, 0}};
  const uint64_t set[2] = {1U << 3, uint64_t{1} << (70 - 64)};
  const timespec limit{1, 500};
  host.thread(own(), SYS_ppoll, {address_of(polled), 4, address_of(&limit)});
  host.thread(1000001, SYS_pselect6, {71, address_of(set), 0, 0, 0});
  host.thread(1000002, SYS_pselect6, {70, address_of(set), 0, 0, 0});
  host.thread(1000003, SYS_ppoll, {8, 4, 0});
#ifdef SYS_poll
  host.thread(1000004, SYS_poll, {0, 0, static_cast<uint64_t>(-1)});
  host.thread(1000005, SYS_poll, {0, 0, 20});
#endif
  host.finish();
  CHECK(host.waits(own()) == "poll pipe:3,poll pipe:70");
  CHECK(host.wait(own()).timeout_ns == 1'000'000'500U);
  CHECK(host.waits(1000001) == "select pipe:3,select pipe:70");
  CHECK(host.waits(1000002) == "select pipe:3");
  CHECK(host.waits(1000003) == "poll");
#ifdef SYS_poll
  CHECK(host.waits(1000004) == "sigwait");
  CHECK_FALSE(host.wait(1000004).timeout_ns);
  CHECK(host.waits(1000005) == "poll");
  CHECK(host.wait(1000005).timeout_ns == 20'000'000U);
#endif
}

TEST_CASE("waits: pause and vfork are other calls where they have none of their own", "[waits]") {
  Host host;
  const timespec limit{1, 0};
  const uint64_t flags = CLONE_VM | CLONE_VFORK, none = CLONE_VM;
  host.thread(own(), SYS_ppoll, {0, 0, 0, 0});
  host.thread(1000001, SYS_ppoll, {0, 0, address_of(&limit)});
  host.thread(1000002, SYS_clone, {flags | SIGCHLD});
  host.thread(1000003, SYS_clone, {none | SIGCHLD});
  host.finish();
  CHECK(host.waits(own()) == "sigwait");
  CHECK(host.waits(1000001) == "poll");
  CHECK(host.waits(1000002) == "vfork");
  CHECK(host.waits(1000003) == "clone");
}

TEST_CASE("waits: a clone3 whose flags say vfork", "[waits]") {
  const auto [flags, operation] = GENERATE(
      table<uint64_t, const char*>({{CLONE_VM | CLONE_VFORK, "vfork"}, {CLONE_VM, "clone"}}));
  Host host;
  const uint64_t given[8] = {flags};
  host.thread(own(), SYS_clone3, {address_of(given), sizeof given});
  host.finish();
  CHECK(host.waits(own()) == operation);
}

TEST_CASE("waits: a splice waits at the side that its pipe tells", "[waits]") {
  Host host;
  const ChannelIndex in = host.pipe(3, Role::reader);
  host.pipe(4, Role::writer);
  host.thread(own(), SYS_splice, {3, 0, 4, 0, 100, 0});
  SECTION("empty") {
    host.builder().channel(in).depth_bytes = 0;
    host.finish();
    CHECK(host.waits(own()) == "splice pipe:3");
  }
  SECTION("not empty") {
    host.builder().channel(in).depth_bytes = 5;
    host.finish();
    CHECK(host.waits(own()) == "splice pipe:4");
  }
  SECTION("unknown") {
    host.finish();
    CHECK(host.waits(own()) == "splice pipe:3,splice pipe:4");
  }
}

TEST_CASE("waits: children, System V objects, sleep", "[waits]") {
  const Parked parked(5);
  Host host;
  host.builder().add_channel(Kind::sem, "sem:7");
  const timespec limit{3, 0}, past{1, 0}, centuries{INT64_MAX, 0};
  host.thread(own(), SYS_wait4, {static_cast<uint64_t>(parked.tid(0))});
  host.thread(parked.tid(0), SYS_semtimedop, {7, 0, 1, address_of(&limit)});
  host.thread(parked.tid(1), SYS_waitid, {P_PID, static_cast<uint64_t>(parked.tid(0))});
  host.thread(parked.tid(2), SYS_wait4, {static_cast<uint64_t>(-1)});
  host.thread(parked.tid(3), SYS_clock_nanosleep,
              {CLOCK_REALTIME, TIMER_ABSTIME, address_of(&past), 0});
  host.thread(parked.tid(4), SYS_clock_nanosleep, {CLOCK_REALTIME, 0, address_of(&centuries), 0});
  host.finish();
  CHECK(host.wait(own()).target == parked.tid(0));
  CHECK(host.waits(parked.tid(0)) == "semop sem:7");
  CHECK(host.wait(parked.tid(0)).timeout_ns == 3'000'000'000U);
  CHECK(host.wait(parked.tid(1)).target == parked.tid(0));
  CHECK(host.wait(parked.tid(2)).target == 0);
  CHECK(host.wait(parked.tid(3)).timeout_ns == 0U);
  CHECK(host.wait(parked.tid(4)).timeout_ns > 9'000'000'000'000'000'000U);
}

TEST_CASE("waits: a mutex with its holder and its waiters", "[waits]") {
  const Parked parked(5);
  Host host;
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  REQUIRE(pthread_mutex_lock(&mutex) == 0);
  const uint32_t contended = 2;
  std::memcpy(&mutex, &contended, sizeof contended);
  const uint64_t at = address_of(&mutex);
  host.thread(own(), SYS_rt_sigsuspend, {});
  host.thread(parked.tid(0), SYS_futex, {at, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 2, 0});
  host.thread(parked.tid(1), SYS_futex, {at, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, 2, 0});
  host.thread(parked.tid(2), SYS_futex, {at + 1, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 2, 0});
  const Snapshot& snapshot = host.finish();
  const std::string id = "futex:" + std::to_string(own()) + ":0x";
  CHECK(host.waits(parked.tid(0)).starts_with("futex_wait " + id));
  CHECK(host.waits(parked.tid(1)) == host.waits(parked.tid(0)));
  CHECK(host.waits(parked.tid(2)) == "futex_wait");  // not aligned: no futex
  REQUIRE(snapshot.channels.size() == 1);
  const Channel& channel = snapshot.channels.front();
  CHECK(snapshot.attribute(channel, "primitive")->string() == "mutex");
  CHECK(snapshot.attribute(channel, "ownership")->string() == "holder");
  CHECK(snapshot.attribute(channel, "scope")->string() == "private");
  CHECK(snapshot.attribute(channel, "value")->natural == 2);
  REQUIRE(snapshot.endpoints_of(channel).size() == 3);
  const Endpoint& owner = snapshot.endpoints_of(channel).front();
  CHECK(owner.role == Role::owner);
  CHECK(snapshot.threads[owner.thread].tid == own());
  CHECK(snapshot.waits_at(channel).size() == 2);
}

TEST_CASE("waits: memory that cannot be read leaves the owner unknown", "[waits]") {
  Host host;
  host.thread(own(), SYS_futex, {8, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 2, 0});
  const Snapshot& snapshot = host.finish();
  REQUIRE(snapshot.channels.size() == 1);
  const Channel& channel = snapshot.channels.front();
  CHECK(snapshot.attribute(channel, "primitive")->string() == "unknown");
  CHECK(snapshot.attribute(channel, "ownership")->string() == "unknown");
  CHECK(snapshot.attribute(channel, "value")->type == Attribute::Type::unknown);
}
