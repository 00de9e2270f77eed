// SPDX-License-Identifier: GPL-2.0-or-later
// Loops of system calls, timed from inside. Prints nanoseconds of wall time for one round; of CPU
// time where nobody waits, which other programs on the machine disturb less.
//
// usage: ipcscope-load KIND ROUNDS [REPEATS [RATE]]    the least of the repeats is printed
//   RATE: rounds a second at most, for those of one thread; else as many as it can
//   getppid, zero (reads of /dev/zero), own-pipe (write and read by one thread), pipe, unix, mq,
//   msg, futex (ping-pong of two processes on one CPU), mutex (two threads)
#include <fcntl.h>
#include <mqueue.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <string>

namespace {

double now_ns(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

/// CLOCK_MONOTONIC, ns. Sleeps only where that is worth it, and so comes back a little late.
void wait_until(double time_ns) {
  constexpr double least = 200'000;
  if (time_ns == 0 || now_ns(CLOCK_MONOTONIC) + least > time_ns) {
    return;
  }
  const auto whole = static_cast<long>(time_ns);
  const timespec until{whole / 1'000'000'000, whole % 1'000'000'000};
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
}

double rate = 0;  ///< rounds a second at most; 0: as many as it can

double alone(long rounds, const std::function<void()>& once) {
  const double begin = now_ns(CLOCK_PROCESS_CPUTIME_ID);
  const double start = now_ns(CLOCK_MONOTONIC);
  for (long i = 0; i < rounds; i++) {
    wait_until(rate > 0 ? start + static_cast<double>(i) * 1e9 / rate : 0);
    once();
  }
  return (now_ns(CLOCK_PROCESS_CPUTIME_ID) - begin) / static_cast<double>(rounds);
}

/// there: one message to the child and one back. On one CPU, so that no idle CPU has to wake up.
double together(long rounds, const std::function<void(bool is_child)>& half) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(static_cast<size_t>(sched_getcpu()), &one);
  sched_setaffinity(0, sizeof one, &one);
  const pid_t child = fork();
  if (child == 0) {
    for (long i = 0; i < rounds; i++) {
      half(true);
    }
    _exit(0);
  }
  const double begin = now_ns(CLOCK_MONOTONIC);
  for (long i = 0; i < rounds; i++) {
    half(false);
  }
  const double took = now_ns(CLOCK_MONOTONIC) - begin;
  waitpid(child, nullptr, 0);
  return took / static_cast<double>(rounds);
}

/// Over a pair of descriptors for each direction.
double over_descriptors(long rounds, const int (&to)[2], const int (&from)[2]) {
  return together(rounds, [&](bool is_child) {
    char byte = 'x';
    if (is_child) {
      (void)!read(to[0], &byte, 1);
      (void)!write(from[1], &byte, 1);
    } else {
      (void)!write(to[1], &byte, 1);
      (void)!read(from[0], &byte, 1);
    }
  });
}

double over_queues(long rounds) {
  mqd_t queues[2];
  for (int i = 0; i < 2; i++) {
    const std::string name =
        "/ipcscope-test-load-" + std::to_string(getpid()) + "-" + std::to_string(i);
    mq_attr attributes{};
    attributes.mq_maxmsg = 1;
    attributes.mq_msgsize = 8;
    queues[i] = mq_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600, &attributes);
    mq_unlink(name.c_str());
  }
  return together(rounds, [&](bool is_child) {
    char text[8] = {};
    if (is_child) {
      mq_receive(queues[0], text, sizeof text, nullptr);
      mq_send(queues[1], text, 1, 0);
    } else {
      mq_send(queues[0], text, 1, 0);
      mq_receive(queues[1], text, sizeof text, nullptr);
    }
  });
}

double over_msg(long rounds) {
  const int queue = msgget(IPC_PRIVATE, 0600);
  const double took = together(rounds, [&](bool is_child) {
    struct {
      long type;
      char text[8];
    } message{is_child ? 2L : 1L, {}};
    if (is_child) {
      msgrcv(queue, &message, sizeof message.text, 1, 0);
      message.type = 2;
      msgsnd(queue, &message, 1, 0);
    } else {
      msgsnd(queue, &message, 1, 0);
      msgrcv(queue, &message, sizeof message.text, 2, 0);
    }
  });
  msgctl(queue, IPC_RMID, nullptr);
  return took;
}

/// Two semaphores, which nobody spins at.
double over_futexes(long rounds) {
  struct Shared {
    sem_t there, back;
  };
  void* memory =
      mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  auto* shared = static_cast<Shared*>(memory);
  sem_init(&shared->there, 1, 0);
  sem_init(&shared->back, 1, 0);
  const double took = together(rounds, [&](bool is_child) {
    if (is_child) {
      sem_wait(&shared->there);
      sem_post(&shared->back);
    } else {
      sem_post(&shared->there);
      sem_wait(&shared->back);
    }
  });
  munmap(memory, sizeof(Shared));
  return took;
}

double mutex(long rounds) {
  struct Shared {
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    long rounds = 0;
  } shared;
  shared.rounds = rounds;
  const auto work = [](void* pointer) -> void* {
    auto& with = *static_cast<Shared*>(pointer);
    for (long i = 0; i < with.rounds; i++) {
      pthread_mutex_lock(&with.lock);
      volatile int spin = 0;
      while (spin < 50) {
        const int next = spin + 1;
        spin = next;
      }
      pthread_mutex_unlock(&with.lock);
    }
    return nullptr;
  };
  pthread_t other{};
  const double begin = now_ns(CLOCK_MONOTONIC);
  pthread_create(&other, nullptr, work, &shared);
  work(&shared);
  pthread_join(other, nullptr);
  return (now_ns(CLOCK_MONOTONIC) - begin) / static_cast<double>(rounds);
}

double run(const char* kind, long rounds) {
  char byte = 'x';
  if (std::strcmp(kind, "getppid") == 0) {
    return alone(rounds, [] { syscall(SYS_getppid); });
  }
  if (std::strcmp(kind, "zero") == 0) {
    const int zero = open("/dev/zero", O_RDONLY);
    const double took = alone(rounds, [&] { (void)!read(zero, &byte, 1); });
    close(zero);
    return took;
  }
  int to[2] = {-1, -1};
  int from[2] = {-1, -1};
  double took = 0;
  if (std::strcmp(kind, "own-pipe") == 0) {
    (void)!pipe(to);
    took = alone(rounds, [&] {
      (void)!write(to[1], &byte, 1);
      (void)!read(to[0], &byte, 1);
    });
  } else if (std::strcmp(kind, "pipe") == 0) {
    (void)!pipe(to);
    (void)!pipe(from);
    took = over_descriptors(rounds, to, from);
  } else if (std::strcmp(kind, "unix") == 0) {
    socketpair(AF_UNIX, SOCK_STREAM, 0, to);
    socketpair(AF_UNIX, SOCK_STREAM, 0, from);
    took = over_descriptors(rounds, to, from);
  } else if (std::strcmp(kind, "mq") == 0) {
    took = over_queues(rounds);
  } else if (std::strcmp(kind, "msg") == 0) {
    took = over_msg(rounds);
  } else if (std::strcmp(kind, "futex") == 0) {
    took = over_futexes(rounds);
  } else if (std::strcmp(kind, "mutex") == 0) {
    took = mutex(rounds);
  } else {
    std::fprintf(stderr, "no load '%s'\n", kind);
    exit(2);
  }
  for (const int fd : {to[0], to[1], from[0], from[1]}) {
    close(fd);
  }
  return took;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: ipcscope-load KIND ROUNDS [REPEATS [RATE]]\n");
    return 2;
  }
  const long repeats = argc > 3 ? std::atol(argv[3]) : 5;
  rate = argc > 4 ? std::atof(argv[4]) : 0;
  double least = 1e18;
  for (long i = 0; i < repeats; i++) {
    least = std::min(least, run(argv[1], std::atol(argv[2])));
  }
  std::printf("%.0f\n", least);
  return 0;
}
