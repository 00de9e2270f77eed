// SPDX-License-Identifier: GPL-2.0-or-later
// What a looker costs its target: one thread reads the clock without end and keeps the largest gaps
// between two readings, while the others are blocked as the threads of a hung process are. Prints
// its pid, spins for SECONDS once a line comes in, and prints "LARGEST P999 OVER SPINS": the
// largest gap and the gap of rank 1/1000 of all gaps over 1 us, both in microseconds, how many of
// those there were, and the number of readings in millions. Ends with its input.
//
// usage: ipcscope-spin SECONDS [THREADS]
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <thread>
#include <vector>

namespace {

long long now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

void spin(double seconds) {
  constexpr long long noise_ns = 5000;  // a timer's interrupt takes less
  const sched_param urgent{1};
  sched_setscheduler(0, SCHED_FIFO, &urgent);
  long long largest = 0;
  long long sum = 0;
  long long over = 0;
  long long before = now_ns();
  const long long end = before + static_cast<long long>(seconds * 1e9);
  while (before < end) {
    const long long now = now_ns();
    if (now - before > noise_ns) {
      largest = std::max(largest, now - before);
      sum += now - before;
      over++;
    }
    before = now;
  }
  const sched_param normal{};
  sched_setscheduler(0, SCHED_OTHER, &normal);
  std::printf("%.1f %.1f %lld\n", static_cast<double>(largest) / 1e3,
              static_cast<double>(sum) / 1e3, over);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: ipcscope-spin SECONDS [THREADS]\n");
    return 2;
  }
  const double seconds = std::atof(argv[1]);
  const int count = argc > 2 ? std::atoi(argv[2]) : 100;
  pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  pthread_mutex_lock(&lock);
  std::vector<std::thread> threads;
  threads.reserve(static_cast<size_t>(count));
  for (int i = 0; i < count; i++) {
    threads.emplace_back([&lock] {
      pthread_mutex_lock(&lock);
      pthread_mutex_unlock(&lock);
    });
  }
  std::printf("%d\n", getpid());
  std::fflush(stdout);
  for (char letter = 0; read(0, &letter, 1) > 0;) {
    if (letter == '\n') {
      spin(seconds);
    }
  }
  pthread_mutex_unlock(&lock);
  for (std::thread& thread : threads) {
    thread.join();
  }
  return 0;
}
