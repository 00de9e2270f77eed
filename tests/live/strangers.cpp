// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/live/strangers.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

namespace ipcscope::live {

namespace {

struct Report {
  int who;
  int pid;
};

using Naming = int (*)(int, const sockaddr*, socklen_t);  // bind or connect

constexpr int first_own_fd = 3;
// Where a process has what does not belong to its act.
constexpr int link_fd = 1000;
constexpr int life_fd = 1001;
constexpr int report_fd = 1002;

int check(int result) {
  if (result < 0) {
    ::_exit(1);  // its report stays away
  }
  return result;
}

void check_written(int fd, const void* data, size_t size) {
  check(::write(fd, data, size) == static_cast<ssize_t>(size) ? 0 : -1);
}

/// Until the test is over. Asleep, and not in a system call that holds the descriptor.
[[noreturn]] void live_on() {
  pollfd watched{life_fd, POLLIN, 0};
  while (::poll(&watched, 1, 0) == 0) {
    ::usleep(20'000);
  }
  ::_exit(0);
}

/// The process that an act runs in.
[[noreturn]] void live(int who, const Act& act, int link, int life, int report) {
  const int null = check(::open("/dev/null", O_RDWR));
  for (int fd = 0; fd < first_own_fd; fd++) {
    check(::dup2(null, fd));
  }
  check(::dup2(link, link_fd));
  check(::dup2(life, life_fd));
  check(::dup2(report, report_fd));
  check(::close_range(first_own_fd, link_fd - 1, 0));
  check(::close_range(report_fd + 1, ~0U, 0));
  act(link_fd);
  ::close(link_fd);
  const Report done = {who, ::getpid()};
  check_written(report_fd, &done, sizeof done);
  ::close(report_fd);
  live_on();
}

void send_fd(int link, int fd) {
  char byte = 0;
  iovec data{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof fd)] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(sizeof fd);
  std::memcpy(CMSG_DATA(head), &fd, sizeof fd);
  check(static_cast<int>(::sendmsg(link, &message, 0)));
}

int receive_fd(int link) {
  char byte = 0;
  iovec data{&byte, 1};
  int fd = -1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof fd)] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  check(static_cast<int>(::recvmsg(link, &message, 0)));
  if (const cmsghdr* head = CMSG_FIRSTHDR(&message)) {
    std::memcpy(&fd, CMSG_DATA(head), sizeof fd);
  }
  return check(fd);
}

template <typename T>
void send_value(int link, const T& value) {
  check_written(link, &value, sizeof value);
}

template <typename T>
T receive_value(int link) {
  T value{};
  check(::read(link, &value, sizeof value) == static_cast<ssize_t>(sizeof value) ? 0 : -1);
  return value;
}

/// Its read end stays, the other is the result.
int new_pipe() {
  int ends[2];
  check(::pipe(ends));
  return ends[1];
}

void* map(int fd, int flags) {
  void* memory = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | flags, fd, 0);
  check(memory == MAP_FAILED ? -1 : 0);
  *static_cast<volatile char*>(memory) = 1;
  return memory;
}

/// Goes on in a process whose parent has ended, which keeps what this one has open; false here.
bool leave_grandchild(int flags) {
  const auto fork_with = [flags] {
    return static_cast<pid_t>(::syscall(SYS_clone, flags | SIGCHLD, nullptr, nullptr, nullptr, 0));
  };
  const pid_t child = check(fork_with());
  if (child == 0) {
    if (check(fork_with()) != 0) {
      ::_exit(0);
    }
    return true;
  }
  check(::waitpid(child, nullptr, 0));
  return false;
}

/// Until nobody can read from a pipe any more.
[[noreturn]] void outlast(int write_end) {
  pollfd watched{write_end, 0, 0};
  ::poll(&watched, 1, -1);
  ::_exit(0);
}

std::string name(const char* of) {
  // The first and the second process have the test's id from before they were made.
  static const std::string id = std::to_string(::getpid());
  return std::string("ipcscope-test-") + of + "-" + id;
}

sockaddr_un abstract(const char* of, socklen_t& size) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string text = name(of);
  std::memcpy(address.sun_path + 1, text.data(), text.size());
  size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + text.size());
  return address;
}

int unix_socket(const char* of, int type, Naming use) {
  const int fd = check(::socket(AF_UNIX, type, 0));
  socklen_t size = 0;
  const sockaddr_un address = abstract(of, size);
  check(use(fd, reinterpret_cast<const sockaddr*>(&address), size));
  return fd;
}

int inet_socket(int type, in_port_t port, Naming use) {
  const int fd = check(::socket(AF_INET, type, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = port;
  check(use(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address));
  return fd;
}

in_port_t port_of(int fd) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  check(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size));
  return address.sin_port;
}

std::string fifo_path() { return "/dev/shm/" + name("fifo"); }
std::string lock_path() { return "/tmp/" + name("lock"); }
std::string queue_name() { return "/" + name("queue"); }

void register_in_ring(int fd) {
  io_uring_params parameters{};
  const int ring = check(static_cast<int>(::syscall(SYS_io_uring_setup, 4, &parameters)));
  check(static_cast<int>(::syscall(SYS_io_uring_register, ring, IORING_REGISTER_FILES, &fd, 1)));
  ::close(fd);
}

}  // namespace

Strangers::Strangers(const Act& first, const Act& second) {
  name("");  // remembers who the test is
  int link[2];
  int report[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link) != 0 ||
      ::pipe2(report, O_CLOEXEC) != 0) {
    throw std::runtime_error("no descriptors");
  }
  const Fd link_ends[2] = {Fd(link[0]), Fd(link[1])};
  Fd reports(report[0]);
  Fd report_end(report[1]);
  for (int who = 0; who < 2; who++) {
    int life[2];
    if (::pipe2(life, O_CLOEXEC) != 0) {
      throw std::runtime_error("no descriptors");
    }
    const Fd life_end(life[0]);
    lives_[static_cast<size_t>(who)].reset(life[1]);
    const pid_t child = ::fork();
    if (child == 0) {
      if (who == 1 && ::fork() != 0) {
        ::_exit(0);
      }
      live(who, who == 0 ? first : second, link[who], life[0], report[1]);
    }
    if (who == 0) {
      child_ = child;
    } else if (child > 0) {
      ::waitpid(child, nullptr, 0);
    }
  }
  report_end.reset();
  Report done{};
  while (::read(reports.get(), &done, sizeof done) == static_cast<ssize_t>(sizeof done)) {
    pids_[static_cast<size_t>(done.who)] = done.pid;
  }
}

Strangers::~Strangers() {
  for (Fd& life : lives_) {
    life.reset();
  }
  if (child_ > 0) {
    ::waitpid(child_, nullptr, 0);
  }
}

std::vector<StrangerScene> stranger_scenes() {
  const Act pass_write_end = [](int link) {
    const int end = new_pipe();
    send_fd(link, end);
    ::close(end);
  };
  const Act receive = [](int link) { receive_fd(link); };
  const Act nothing = [](int /*link*/) {};
  return {
      {"a descriptor that was passed", pass_write_end, receive},
      {"an eventfd that both have", [](int link) { send_fd(link, check(::eventfd(0, 0))); },
       receive},
      {"a descriptor in a queue", pass_write_end,
       [](int link) {
         const int end = receive_fd(link);
         int pair[2];
         check(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
         send_fd(pair[0], end);
         ::close(end);
       }},
      {"a file that a ring has", pass_write_end,
       [](int link) { register_in_ring(receive_fd(link)); }, false},
      {"a grandchild without a parent",
       [](int /*link*/) {
         const int end = new_pipe();
         if (leave_grandchild(0)) {
           check(::dup2(end, first_own_fd));
           check(::close_range(first_own_fd + 1, ~0U, 0));
           outlast(first_own_fd);
         }
         ::close(end);
       },
       nothing, false},
      {"a table that two processes share",
       [](int /*link*/) {
         new_pipe();
         if (leave_grandchild(CLONE_FILES)) {
           live_on();
         }
       },
       nothing, false},
      {"a mapping without a descriptor",
       [](int link) {
         const int fd = check(::memfd_create("ipcscope-test", 0));
         check(::ftruncate(fd, 4096));
         map(fd, 0);
         send_fd(link, fd);
         ::close(fd);
       },
       [](int link) {
         const int fd = receive_fd(link);
         map(fd, 0);
         ::close(fd);
       }},
      {"anonymous memory that was inherited",
       [](int /*link*/) {
         map(-1, MAP_ANONYMOUS);
         const int end = new_pipe();
         if (leave_grandchild(0)) {
           check(::dup2(end, first_own_fd));
           check(::close_range(first_own_fd + 1, ~0U, 0));
           outlast(first_own_fd);
         }
       },
       nothing, false},
      {"a datagram sender",
       [](int link) {
         unix_socket("receiver", SOCK_DGRAM, ::bind);
         send_value(link, 1);
       },
       [](int link) {
         receive_value<int>(link);
         unix_socket("receiver", SOCK_DGRAM, ::connect);
       }},
      {"a connection that waits to be accepted",
       [](int link) {
         check(::listen(unix_socket("listener", SOCK_STREAM, ::bind), 4));
         send_value(link, 1);
         receive_value<int>(link);
       },
       [](int link) {
         receive_value<int>(link);
         unix_socket("listener", SOCK_STREAM, ::connect);
         send_value(link, 1);
       }},
      {"a connection that was accepted",
       [](int link) {
         const int listener = unix_socket("listener", SOCK_SEQPACKET, ::bind);
         check(::listen(listener, 4));
         send_value(link, 1);
         check(::accept(listener, nullptr, nullptr));
         ::close(listener);
       },
       [](int link) {
         receive_value<int>(link);
         unix_socket("listener", SOCK_SEQPACKET, ::connect);
       }},
      {"a TCP connection",
       [](int link) {
         const int listener = inet_socket(SOCK_STREAM, 0, ::bind);
         check(::listen(listener, 4));
         send_value(link, port_of(listener));
         check(::accept(listener, nullptr, nullptr));
       },
       [](int link) { inet_socket(SOCK_STREAM, receive_value<in_port_t>(link), ::connect); }},
      {"a TCP connection that waits to be accepted",
       [](int link) {
         const int listener = inet_socket(SOCK_STREAM, 0, ::bind);
         check(::listen(listener, 4));
         send_value(link, port_of(listener));
         receive_value<int>(link);
       },
       [](int link) {
         inet_socket(SOCK_STREAM, receive_value<in_port_t>(link), ::connect);
         send_value(link, 1);
       }},
      {"connected UDP sockets",
       [](int link) {
         const int fd = inet_socket(SOCK_DGRAM, 0, ::bind);
         send_value(link, port_of(fd));
         sockaddr_in peer{};
         peer.sin_family = AF_INET;
         peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
         peer.sin_port = receive_value<in_port_t>(link);
         check(::connect(fd, reinterpret_cast<const sockaddr*>(&peer), sizeof peer));
       },
       [](int link) {
         send_value(link,
                    port_of(inet_socket(SOCK_DGRAM, receive_value<in_port_t>(link), ::connect)));
       }},
      {"a FIFO that each has opened",
       [](int link) {
         check(::mkfifo(fifo_path().c_str(), 0600));
         check(::open(fifo_path().c_str(), O_RDONLY | O_NONBLOCK));
         send_value(link, 1);
       },
       [](int link) {
         receive_value<int>(link);
         check(::open(fifo_path().c_str(), O_WRONLY));
       }},
      {"a memory file that was opened again",
       [](int link) {
         const int fd = check(::memfd_create("ipcscope-test", 0));
         send_fd(link, fd);
         receive_value<int>(link);
       },
       [](int link) {
         const int fd = receive_fd(link);
         check(::open(("/proc/self/fd/" + std::to_string(fd)).c_str(), O_RDWR));
         ::close(fd);
         send_value(link, 1);
       }},
      {"shared memory with a name",
       [](int link) {
         const int fd = check(::shm_open(("/" + name("shm")).c_str(), O_CREAT | O_RDWR, 0600));
         check(::ftruncate(fd, 4096));
         map(fd, 0);
         send_value(link, 1);
       },
       [](int link) {
         receive_value<int>(link);
         const int fd = check(::shm_open(("/" + name("shm")).c_str(), O_RDWR, 0600));
         map(fd, 0);
         ::close(fd);
       }},
      {"shared memory with two names",
       [](int link) {
         check(::shm_open(("/" + name("shm")).c_str(), O_CREAT | O_RDWR, 0600));
         check(::link(("/dev/shm/" + name("shm")).c_str(), ("/dev/shm/" + name("shm2")).c_str()));
         send_value(link, 1);
       },
       [](int link) {
         receive_value<int>(link);
         check(::shm_open(("/" + name("shm2")).c_str(), O_RDWR, 0600));
       }},
      {"a message queue",
       [](int link) {
         check(::mq_open(queue_name().c_str(), O_CREAT | O_RDONLY, 0600, nullptr));
         send_value(link, 1);
       },
       [](int link) {
         receive_value<int>(link);
         check(::mq_open(queue_name().c_str(), O_WRONLY));
       }},
      {"descriptors for one process",
       [](int link) {
         check(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
         send_value(link, ::getpid());
       },
       [](int link) {
         check(static_cast<int>(::syscall(SYS_pidfd_open, receive_value<pid_t>(link), 0)));
       }},
      {"a terminal",
       [](int link) {
         const int master = check(::posix_openpt(O_RDWR | O_NOCTTY));
         check(::unlockpt(master));
         std::array<char, 64> path{};
         check(-::ptsname_r(master, path.data(), path.size()));
         send_value(link, path);
       },
       [](int link) {
         check(::open(receive_value<std::array<char, 64>>(link).data(), O_RDWR | O_NOCTTY));
       }},
      {"a file with locks",
       [](int link) {
         const int fd = check(::open(lock_path().c_str(), O_CREAT | O_RDWR, 0600));
         check(::flock(fd, LOCK_SH));
         send_value(link, 1);
       },
       [](int link) {
         receive_value<int>(link);
         const int fd = check(::open(lock_path().c_str(), O_RDWR));
         check(::flock(fd, LOCK_SH));
       }},
  };
}

void remove_leftovers() {
  ::unlink(fifo_path().c_str());
  ::unlink(lock_path().c_str());
  ::shm_unlink(("/" + name("shm")).c_str());
  ::shm_unlink(("/" + name("shm2")).c_str());
  ::mq_unlink(queue_name().c_str());
}

}  // namespace ipcscope::live
