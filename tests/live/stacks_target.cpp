// SPDX-License-Identifier: GPL-2.0-or-later
// A program whose stacks are known: each thread goes through deck::harbour(), deck::Ship::load(int)
// and the C function lower_anchor() and then waits for a mutex that the main thread holds. Prints
// its pid and then "pid tid" for each of the others, and ends when its input does.
//
// With "restless" they sleep for a millisecond again and again instead.
//
// usage: stacks_target [THREADS [restless]]
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

/// What the threads wait for. Not static: its name is in the symbol table.
pthread_mutex_t anchor_lock = PTHREAD_MUTEX_INITIALIZER;

namespace {

std::atomic<int> arrived{0};
std::atomic<bool> restless{false};

}  // namespace

// Each adds to the result of the next one: a jump instead of a call would leave no frame.
extern "C" __attribute__((noinline)) int lower_anchor(int depth) {
  volatile int kept = depth;
  arrived++;
  while (restless) {
    usleep(1000);
  }
  pthread_mutex_lock(&anchor_lock);
  pthread_mutex_unlock(&anchor_lock);
  return kept + 1;
}

namespace deck {

struct Ship {
  __attribute__((noinline)) int load(int weight) {
    // An array whose size is not known makes the compiler count from rbp, which is then needed to
    // find the caller.
    auto* const cargo = static_cast<volatile char*>(__builtin_alloca(static_cast<size_t>(weight)));
    cargo[0] = static_cast<char>(weight);
    return lower_anchor(weight) + cargo[0];
  }
};

__attribute__((noinline)) int harbour(Ship& ship, int weight) {
  volatile int kept = weight;
  return ship.load(weight) + kept;
}

}  // namespace deck

int main(int argc, char** argv) {
  const int count = argc > 1 ? std::atoi(argv[1]) : 1;
  restless = argc > 2;
  pthread_mutex_lock(&anchor_lock);
  std::printf("%d", getpid());
  std::vector<std::thread> threads;
  threads.reserve(static_cast<size_t>(count));
  std::vector<std::atomic<int>> tids(static_cast<size_t>(count));
  for (int i = 0; i < count; i++) {
    threads.emplace_back([i, &tids] {
      tids[static_cast<size_t>(i)] = static_cast<int>(syscall(SYS_gettid));
      deck::Ship ship;
      deck::harbour(ship, 40 + i % 8);
    });
  }
  while (arrived < count) {
    std::this_thread::yield();
  }
  for (const auto& tid : tids) {
    std::printf(" %d", tid.load());
  }
  std::printf("\n");
  std::fflush(stdout);
  char unused = 0;
  while (read(0, &unused, 1) > 0) {
  }
  restless = false;
  pthread_mutex_unlock(&anchor_lock);
  for (std::thread& thread : threads) {
    thread.join();
  }
}
