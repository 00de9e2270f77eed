// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/live/churn.h"

#include <arpa/inet.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>

namespace ipcscope::live {

namespace {

constexpr size_t trades = 4;

void close_both(const std::array<int, 2>& pair) {
  ::close(pair[0]);
  ::close(pair[1]);
}

void use_pair(const std::array<int, 2>& pair) {
  char byte = 'x';
  (void)!::write(pair[1], &byte, 1);
  (void)!::read(pair[0], &byte, 1);
  close_both(pair);
}

void use_children() {
  const pid_t child = ::fork();
  if (child == 0) {
    std::array<int, 2> ends{};
    if (::pipe(ends.data()) == 0) {
      use_pair(ends);
    }
    ::_exit(0);
  }
  if (child > 0) {
    ::waitpid(child, nullptr, 0);
  }
}

void use_pipes() {
  std::array<int, 2> ends{};
  if (::pipe(ends.data()) == 0) {
    use_pair(ends);
  }
  const int counter = ::eventfd(1, EFD_CLOEXEC);
  uint64_t value = 0;
  (void)!::read(counter, &value, sizeof value);
  ::close(counter);
}

void use_sockets() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()) == 0) {
    use_pair(ends);
  }
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* any = reinterpret_cast<sockaddr*>(&address);
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  const int client = ::socket(AF_INET, SOCK_STREAM, 0);
  if (::bind(listener, any, sizeof address) == 0 && ::getsockname(listener, any, &size) == 0 &&
      ::listen(listener, 1) == 0 && ::connect(client, any, sizeof address) == 0) {
    const int server = ::accept(listener, nullptr, nullptr);
    // Without a farewell, or the host would run out of ports.
    const linger at_once{1, 0};
    ::setsockopt(client, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    use_pair({server, client});
  } else {
    ::close(client);
  }
  ::close(listener);
}

void use_queues() {
  const int queue = ::msgget(IPC_PRIVATE, 0600);
  struct {
    long type = 1;
    char text[8] = {};
  } message;
  ::msgsnd(queue, &message, sizeof message.text, IPC_NOWAIT);
  ::msgrcv(queue, &message, sizeof message.text, 0, IPC_NOWAIT);
  ::msgctl(queue, IPC_RMID, nullptr);
  const int set = ::semget(IPC_PRIVATE, 1, 0600);
  sembuf give{0, 1, 0};
  ::semop(set, &give, 1);
  ::semctl(set, 0, IPC_RMID);
}

}  // namespace

struct Churn::Counters {
  std::atomic<bool> is_over;
  std::array<std::atomic<uint64_t>, trades> rounds;
};

namespace {

/// Pauses now and then: others on this machine want to work, too.
void go_on(void (*round)(), const std::atomic<bool>& is_over, std::atomic<uint64_t>& rounds) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::prctl(PR_SET_NAME, "ipcscope-test-c");
  (void)::unshare(CLONE_NEWIPC);  // what is left behind there goes with the last process
  while (!is_over) {
    for (int i = 0; i < 20; i++) {
      round();
      rounds++;
    }
    ::usleep(5000);
  }
  ::_exit(0);
}

}  // namespace

Churn::Churn()
    : counters_(static_cast<Counters*>(::mmap(nullptr, sizeof(Counters), PROT_READ | PROT_WRITE,
                                              MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {
  constexpr std::array<void (*)(), trades> all = {use_children, use_pipes, use_sockets, use_queues};
  for (size_t i = 0; i < trades; i++) {
    const pid_t pid = ::fork();
    if (pid == 0) {
      go_on(all[i], counters_->is_over, counters_->rounds[i]);
    }
    pids_.push_back(pid);
  }
}

Churn::~Churn() {
  counters_->is_over = true;
  for (const pid_t pid : pids_) {
    ::waitpid(pid, nullptr, 0);
  }
  ::munmap(counters_, sizeof(Counters));
}

uint64_t Churn::rounds() const {
  uint64_t sum = 0;
  for (const std::atomic<uint64_t>& each : counters_->rounds) {
    sum += each;
  }
  return sum;
}

}  // namespace ipcscope::live
