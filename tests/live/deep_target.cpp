// SPDX-License-Identifier: GPL-2.0-or-later
// A program that takes locks in known ways. Prints its pid, does each of these when its input has a
// further line, prints "done" after each, and ends when its input does. Before "done" it prints a
// line for each lock that it timed: name, the nanoseconds that it held the lock at least and at
// most, all times together (the calls that take it and let it go are not in the first, but in the
// second), and the most of a single time.
//
//   1. takes counted_lock as often as its argument says
//   2. holds held_lock, held_rwlock for reading and for writing, held_recursive twice and
//      held_semaphore 20 times for 10 ms each; waits at held_condition 20 times for 10 ms
//   3. takes pairs of locks in orders: inverted_* by two threads in contradicting ones, straight_*
//      by two threads in the same, guarded_* and alone_* and tried_* in contradicting ones that
//      can do no harm
//   4. waits for late_lock, which another thread holds for 300 ms, and holds it for 20 ms itself
//   5. takes counted_lock again and again until there is a further line
#include <pthread.h>
#include <semaphore.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <thread>

#define MUTEX(name) pthread_mutex_t name = PTHREAD_MUTEX_INITIALIZER
MUTEX(counted_lock);
MUTEX(held_lock);
MUTEX(condition_lock);
MUTEX(inverted_first);
MUTEX(inverted_second);
MUTEX(straight_first);
MUTEX(straight_second);
MUTEX(guard_lock);
MUTEX(guarded_first);
MUTEX(guarded_second);
MUTEX(alone_first);
MUTEX(alone_second);
MUTEX(tried_first);
MUTEX(tried_second);
MUTEX(late_lock);
pthread_mutex_t held_recursive = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
pthread_rwlock_t held_rwlock = PTHREAD_RWLOCK_INITIALIZER;
pthread_cond_t held_condition = PTHREAD_COND_INITIALIZER;
sem_t held_semaphore;

namespace {

constexpr int rounds = 20;
constexpr useconds_t hold_us = 10'000;

void both(pthread_mutex_t& first, pthread_mutex_t& second) {
  pthread_mutex_lock(&first);
  pthread_mutex_lock(&second);
  pthread_mutex_unlock(&second);
  pthread_mutex_unlock(&first);
}

void in_a_thread(const std::function<void()>& work) { std::thread(work).join(); }

long takes = 0;

void count() {
  for (long i = 0; i < takes; i++) {
    pthread_mutex_lock(&counted_lock);
    pthread_mutex_unlock(&counted_lock);
  }
}

using Clock = std::chrono::steady_clock;

/// How long a lock was held, by this program's own clock.
class Held {
 public:
  explicit Held(const char* name) : name_(name) {}
  void add(Clock::duration least, Clock::duration most) {
    least_ += least;
    most_ += most;
    longest_ = std::max(longest_, most);
  }
  /// take, rest and let_go: called one after the other.
  template <class Take, class Rest, class LetGo>
  void time(Take take, Rest rest, LetGo let_go) {
    const auto before = Clock::now();
    take();
    const auto taken = Clock::now();
    rest();
    const auto rested = Clock::now();
    let_go();
    add(rested - taken, Clock::now() - before);
  }
  void print() const {
    std::printf("%s %lld %lld %lld\n", name_, nanoseconds(least_), nanoseconds(most_),
                nanoseconds(longest_));
  }

 private:
  static long long nanoseconds(Clock::duration time) {
    return std::chrono::nanoseconds(time).count();
  }
  const char* name_;
  Clock::duration least_{}, most_{}, longest_{};
};

void rest() { usleep(hold_us); }

/// Nobody signals: the lock is let go of until the time is over.
void wait_at_condition() {
  timespec end{};
  clock_gettime(CLOCK_REALTIME, &end);
  end.tv_nsec += hold_us * 1000;
  end.tv_sec += end.tv_nsec / 1'000'000'000;
  end.tv_nsec %= 1'000'000'000;
  pthread_cond_timedwait(&held_condition, &condition_lock, &end);
}

void hold() {
  Held lock("held_lock"), rwlock("held_rwlock"), recursive("held_recursive"),
      semaphore("held_semaphore"), condition("condition_lock");
  for (int i = 0; i < rounds; i++) {
    lock.time([] { pthread_mutex_lock(&held_lock); }, rest,
              [] { pthread_mutex_unlock(&held_lock); });
    rwlock.time([] { pthread_rwlock_rdlock(&held_rwlock); }, rest,
                [] { pthread_rwlock_unlock(&held_rwlock); });
    rwlock.time([] { pthread_rwlock_wrlock(&held_rwlock); }, rest,
                [] { pthread_rwlock_unlock(&held_rwlock); });
    recursive.time([] { pthread_mutex_lock(&held_recursive); },
                   [] {
                     pthread_mutex_lock(&held_recursive);
                     usleep(hold_us / 2);
                     pthread_mutex_unlock(&held_recursive);
                     usleep(hold_us / 2);
                   },
                   [] { pthread_mutex_unlock(&held_recursive); });
    semaphore.time([] { sem_wait(&held_semaphore); }, rest, [] { sem_post(&held_semaphore); });
    condition.time([] { pthread_mutex_lock(&condition_lock); }, wait_at_condition,
                   [] { pthread_mutex_unlock(&condition_lock); });
  }
  for (const Held* each : {&lock, &rwlock, &recursive, &semaphore, &condition}) {
    each->print();
  }
}

void order() {
  in_a_thread([] { both(inverted_first, inverted_second); });
  in_a_thread([] { both(inverted_second, inverted_first); });
  in_a_thread([] { both(straight_first, straight_second); });
  in_a_thread([] { both(straight_first, straight_second); });
  const auto guarded = [](pthread_mutex_t& first, pthread_mutex_t& second) {
    pthread_mutex_lock(&guard_lock);
    both(first, second);
    pthread_mutex_unlock(&guard_lock);
  };
  in_a_thread([&] { guarded(guarded_first, guarded_second); });
  in_a_thread([&] { guarded(guarded_second, guarded_first); });
  both(alone_first, alone_second);
  both(alone_second, alone_first);
  in_a_thread([] { both(tried_first, tried_second); });
  in_a_thread([] {
    pthread_mutex_lock(&tried_second);
    if (pthread_mutex_trylock(&tried_first) == 0) {
      pthread_mutex_unlock(&tried_first);
    }
    pthread_mutex_unlock(&tried_second);
  });
  // A try that fails does not make the lock one's own.
  pthread_mutex_lock(&tried_first);
  in_a_thread([] {
    if (pthread_mutex_trylock(&tried_first) != 0) {
      pthread_mutex_lock(&straight_first);
      pthread_mutex_unlock(&straight_first);
    }
  });
  pthread_mutex_unlock(&tried_first);
}

void wait_late() {
  Held holder("late_lock"), late("late_lock");
  std::thread waiter;
  Clock::time_point free_at;  // under late_lock
  const auto rest_and_tell = [&] {
    waiter = std::thread([&] {
      pthread_mutex_lock(&late_lock);
      const auto taken = Clock::now();
      usleep(2 * hold_us);
      const auto rested = Clock::now();
      const auto free = free_at;
      pthread_mutex_unlock(&late_lock);
      late.add(rested - taken, Clock::now() - free);
    });
    usleep(30 * hold_us);
    free_at = Clock::now();
  };
  holder.time([] { pthread_mutex_lock(&late_lock); }, rest_and_tell,
              [] { pthread_mutex_unlock(&late_lock); });
  waiter.join();
  holder.print();
  late.print();
}

}  // namespace

int main(int argc, char** argv) {
  takes = argc > 1 ? std::strtol(argv[1], nullptr, 10) : 0;
  sem_init(&held_semaphore, 0, 1);
  std::printf("%d\n", static_cast<int>(::getpid()));
  std::fflush(stdout);
  for (void (*work)() : {count, hold, order, wait_late}) {
    if (std::getchar() == EOF) {
      return 0;
    }
    work();
    std::puts("done");
    std::fflush(stdout);
  }
  if (std::getchar() == EOF) {
    return 0;
  }
  std::thread([] {
    for (;;) {
      pthread_mutex_lock(&counted_lock);
      pthread_mutex_unlock(&counted_lock);
    }
  }).detach();
  std::getchar();
  std::puts("done");
  std::fflush(stdout);
  std::_Exit(0);
}
