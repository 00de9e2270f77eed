// SPDX-License-Identifier: GPL-2.0-or-later
// What `why` says of a wait at a System V semaphore.
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

#include "tests/live/json.h"
#include "tests/live/program.h"

using namespace ipcscope::live;

namespace {

/// Gone with this object, and with it whoever waits at it.
class SemaphoreSet {
 public:
  SemaphoreSet() : id_(::semget(IPC_PRIVATE, 3, 0600)) { REQUIRE(id_ >= 0); }
  ~SemaphoreSet() { ::semctl(id_, 0, IPC_RMID); }
  SemaphoreSet(const SemaphoreSet&) = delete;
  [[nodiscard]] int id() const { return id_; }

 private:
  int id_;
};

}  // namespace

TEST_CASE("why of a semaphore", "[kernels]") {
  std::atomic<int> tid = 0;
  std::jthread waiter;  // joined when the set is gone
  {
    const SemaphoreSet set;
    sembuf raise{0, 1, 0};
    REQUIRE(::semop(set.id(), &raise, 1) == 0);
    raise.sem_num = 1;
    REQUIRE(::semop(set.id(), &raise, 1) == 0);
    waiter = std::jthread([&, id = set.id()] {
      tid = static_cast<int>(::syscall(SYS_gettid));
      sembuf both[] = {{0, -1, 0}, {1, -2, 0}};
      ::semop(id, both, 2);
    });
    while (::semctl(set.id(), 1, GETNCNT) != 1) {
      std::this_thread::yield();
    }
    const std::string expected = "lower semaphore 1 (value 1) by 2; last operated on by ";
    for (const char* source : {"bpf", "proc"}) {
      INFO(source);
      const Outcome outcome = run(ipcscope_command(
          {"why", std::to_string(tid), "--json", std::string("--source=") + source}));
      CHECK(outcome.status == 0);
      const Document answer = parse(outcome.output);
      const std::string note(
          text_of(member(member(member(answer, "chains")[0], "steps")[0], "note")));
      INFO(note);
      CHECK(note.starts_with(expected));
      CHECK(note.ends_with("[" + std::to_string(::getpid()) + "]"));
    }
  }
}
