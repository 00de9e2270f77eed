// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>

#include <array>
#include <catch2/catch.hpp>
#include <random>

#include "analysis/wait_graph.h"
#include "collectors/model/builder.h"

namespace ipcscope {
namespace {

constexpr uint32_t nobody = UINT32_MAX;

/// A small system of locks and pipes, as it would be described on paper.
struct System {
  enum class Does : uint8_t { run, sleep, lock, read, write };
  struct Thread {
    uint32_t process = 0;
    Does does = Does::run;
    uint32_t object = 0;  ///< lock or pipe
    bool limited = false;
  };
  struct Lock {
    uint32_t holder = nobody;  ///< a thread
  };
  struct Pipe {
    uint32_t readers = 0, writers = 0;  ///< processes, a bit each
    bool hidden_reader = false, hidden_writer = false;
  };
  uint32_t processes = 0;
  std::vector<Thread> threads;
  std::vector<Lock> locks;
  std::vector<Pipe> pipes;
};

System random_system(std::mt19937& source) {
  const auto below = [&](uint32_t limit) { return static_cast<uint32_t>(source()) % limit; };
  System system;
  system.processes = 1 + below(4);
  const uint32_t threads = system.processes + below(5);
  system.locks.resize(1 + below(3));
  system.pipes.resize(1 + below(3));
  for (System::Lock& lock : system.locks) {
    lock.holder = below(threads);
  }
  const uint32_t all = (1U << system.processes) - 1;
  for (System::Pipe& pipe : system.pipes) {
    pipe.readers = all & below(16) & below(16);
    pipe.writers = all & below(16) & below(16);
    pipe.hidden_reader = below(12) == 0;
    pipe.hidden_writer = below(12) == 0;
  }
  for (uint32_t i = 0; i < threads; i++) {
    System::Thread thread;
    thread.process = i < system.processes ? i : below(system.processes);
    const uint32_t dice = below(16);
    thread.limited = below(16) == 0;
    if (dice < 7) {
      thread.does = System::Does::lock;
      thread.object = below(static_cast<uint32_t>(system.locks.size()));
    } else if (dice < 14) {
      thread.object = below(static_cast<uint32_t>(system.pipes.size()));
      System::Pipe& pipe = system.pipes[thread.object];
      thread.does = dice < 11 ? System::Does::read : System::Does::write;
      (dice < 11 ? pipe.readers : pipe.writers) |= 1U << thread.process;
    } else {
      thread.does = dice == 14 ? System::Does::sleep : System::Does::run;
    }
    system.threads.push_back(thread);
  }
  return system;
}

/// Whether thread can only be released from within set: the contract, read off the system.
bool is_bound(const System& system, uint32_t index, uint32_t set) {
  const System::Thread& thread = system.threads[index];
  if (thread.limited || thread.does == System::Does::run || thread.does == System::Does::sleep) {
    return false;
  }
  if (thread.does == System::Does::lock) {
    return (set >> system.locks[thread.object].holder & 1) != 0;
  }
  const System::Pipe& pipe = system.pipes[thread.object];
  const bool reads = thread.does == System::Does::read;
  if (reads ? pipe.hidden_writer : pipe.hidden_reader) {
    return false;
  }
  const uint32_t others = reads ? pipe.writers : pipe.readers;
  if (others == 0) {  // the end of the file, or a broken pipe: it has just been released
    return false;
  }
  for (uint32_t i = 0; i < system.threads.size(); i++) {
    if ((others >> system.threads[i].process & 1) != 0 && (set >> i & 1) == 0) {
      return false;
    }
  }
  return true;
}

uint32_t dead_by_trying(const System& system) {
  uint32_t dead = 0;
  for (uint32_t set = 0; set < 1U << system.threads.size(); set++) {
    bool closed = true;
    for (uint32_t i = 0; i < system.threads.size() && closed; i++) {
      closed = (set >> i & 1) == 0 || is_bound(system, i, set);
    }
    dead |= closed ? set : 0;
  }
  return dead;
}

void add_pipe(SnapshotBuilder& builder, const System::Pipe& pipe, uint32_t number) {
  const ChannelIndex index = builder.add_channel(Kind::pipe, fmt::format("pipe:{}", number));
  uint32_t readers = pipe.hidden_reader ? 1 : 0, writers = pipe.hidden_writer ? 1 : 0;
  for (uint32_t process = 0; process < 32; process++) {
    Endpoint endpoint;
    endpoint.channel = index;
    endpoint.process = process;
    if ((pipe.readers >> process & 1) != 0) {
      endpoint.role = Role::reader;
      endpoint.file = 100 * (number + 1) + ++readers;
      builder.add_endpoint(endpoint);
    }
    if ((pipe.writers >> process & 1) != 0) {
      endpoint.role = Role::writer;
      endpoint.file = 100 * (number + 1) + 50 + ++writers;
      builder.add_endpoint(endpoint);
    }
  }
  builder.natural(index, "readers", readers);
  builder.natural(index, "writers", writers);
}

Snapshot snapshot_of(const System& system) {
  SnapshotBuilder builder;
  Snapshot& s = builder.snapshot();
  for (uint32_t i = 0; i < system.processes; i++) {
    Process& process = s.processes.emplace_back();
    process.pid = static_cast<int32_t>(1000 + 100 * i);
    process.ppid = 1;
    process.mm = 1 + i;
  }
  std::array<uint32_t, 8> count{};
  for (const System::Thread& thread : system.threads) {
    Thread& made = s.threads.emplace_back();
    made.process = thread.process;
    made.tid = s.processes[thread.process].pid + static_cast<int32_t>(count[thread.process]++);
    made.state = thread.does == System::Does::run ? 'R' : 'S';
  }
  std::vector<ChannelIndex> locks, pipes;
  for (uint32_t i = 0; i < system.locks.size(); i++) {
    const ChannelIndex index = builder.add_channel(Kind::futex, fmt::format("futex:1:0x{:x}", i));
    locks.push_back(index);
    builder.text(index, "scope", "shared");
    builder.text(index, "ownership", "holder");
    builder.boolean(index, "owner_died", false);
    Endpoint owner;
    owner.channel = index;
    owner.thread = system.locks[i].holder;
    owner.process = system.threads[owner.thread].process;
    owner.role = Role::owner;
    builder.add_endpoint(owner);
  }
  for (uint32_t i = 0; i < system.pipes.size(); i++) {
    pipes.push_back(static_cast<ChannelIndex>(s.channels.size()));
    add_pipe(builder, system.pipes[i], i);
  }
  for (uint32_t i = 0; i < system.threads.size(); i++) {
    const System::Thread& thread = system.threads[i];
    Wait wait;
    wait.thread = i;
    switch (thread.does) {
      case System::Does::run:
        continue;
      case System::Does::sleep:
        wait.operation = "sleep";
        break;
      case System::Does::lock:
        wait.operation = "futex_wait";
        wait.channel = locks[thread.object];
        break;
      case System::Does::read:
      case System::Does::write:
        wait.operation = thread.does == System::Does::read ? "read" : "write";
        wait.channel = pipes[thread.object];
        break;
    }
    if (thread.limited) {
      wait.timeout_ns = 1'000'000;
    }
    builder.add_wait(wait);
  }
  return builder.finish();
}

int32_t tid_of(const System& system, uint32_t index) {
  int32_t before = 0;
  for (uint32_t i = 0; i < index; i++) {
    before += system.threads[i].process == system.threads[index].process ? 1 : 0;
  }
  return static_cast<int32_t>(1000 + 100 * system.threads[index].process) + before;
}

}  // namespace

TEST_CASE("100,000 random systems of locks and pipes agree with trying every set", "[wait_graph]") {
  constexpr uint32_t seed = 20261121;
  INFO("seed " << seed);
  std::mt19937 source(seed);
  uint32_t dead_systems = 0, wrong = 0, wrong_chains = 0;
  for (int round = 0; round < 100'000; round++) {
    const System system = random_system(source);
    const Snapshot snapshot = snapshot_of(system);
    const WaitGraph graph(snapshot, {});
    const uint32_t dead = dead_by_trying(system);
    dead_systems += dead != 0 ? 1 : 0;
    for (uint32_t i = 0; i < system.threads.size(); i++) {
      const auto thread =
          static_cast<ThreadIndex>(snapshot.thread(tid_of(system, i)) - snapshot.threads.data());
      const bool is_dead = (dead >> i & 1) != 0;
      wrong += graph.is_live(thread) == is_dead ? 1 : 0;
      const Root root = graph.chain(thread).root;
      wrong_chains += (root == Root::deadlock || root == Root::nobody) != is_dead ? 1 : 0;
    }
    for (const WaitGraph::Deadlock& deadlock : graph.deadlocks()) {
      for (const ThreadIndex thread : deadlock.threads) {
        wrong += graph.is_live(thread) ? 1 : 0;
      }
      wrong_chains += deadlock.cycle.empty() ? 1 : 0;
    }
  }
  CHECK(wrong == 0);
  CHECK(wrong_chains == 0);
  CHECK(dead_systems > 20'000);  // else they were too easy,
  CHECK(dead_systems < 80'000);  // or too hard
}

}  // namespace ipcscope
