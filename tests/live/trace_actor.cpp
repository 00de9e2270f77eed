// SPDX-License-Identifier: GPL-2.0-or-later
// Knows nothing of what `trace` prints: identities come from stat(), getsockname() and fdinfo.
#include "tests/live/trace_actor.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace ipcscope::live {

namespace {

using Deeds = std::vector<Deed>;

/// What has a path is looked up in /proc when it is first seen, so it has to stay a moment.
constexpr useconds_t names_take_us = 100'000;

ino_t inode(int fd) {
  struct stat status {};
  ::fstat(fd, &status);
  return status.st_ino;
}

std::string own(const char* stem) { return fmt::format("ipcscope-test-{}-{}", stem, ::getpid()); }

/// A line of fdinfo: what stands behind its key.
std::string fdinfo(int fd, const std::string& key) {
  std::ifstream file(fmt::format("/proc/self/fdinfo/{}", fd));
  std::string line;
  while (std::getline(file, line)) {
    if (line.rfind(key, 0) == 0) {
      line.erase(0, key.size());
      line.erase(0, line.find_first_not_of(" \t"));
      return line;
    }
  }
  return {};
}

void use_pipe(Deeds& deeds) {
  int ends[2];
  (void)!::pipe2(ends, 0);
  const std::string id = fmt::format("pipe:{}", inode(ends[0]));
  deeds.push_back({"pipe", id, {}, 0});
  char text[64] = "five!";
  (void)!::write(ends[1], text, 5);
  deeds.push_back({"write", id, 5, 5});
  iovec two[] = {{text, 3}, {text, 4}};
  (void)!::writev(ends[1], two, 2);
  deeds.push_back({"writev", id, 7, 7});
  (void)!::read(ends[0], text, sizeof text);
  deeds.push_back({"read", id, 12, 12});
  ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
  (void)!::read(ends[0], text, sizeof text);
  deeds.push_back({"read", id, {}, -EAGAIN});
  ::close(ends[1]);
  (void)!::readv(ends[0], two, 1);
  deeds.push_back({"readv", id, 0, 0});
  ::close(ends[0]);
}

void use_fifo(Deeds& deeds) {
  const std::string path = "/tmp/" + own("fifo");
  ::mkfifo(path.c_str(), 0600);
  const int fd = ::open(path.c_str(), O_RDWR);
  const std::string id = "fifo:" + path;
  deeds.push_back({"open", id, {}, fd});
  (void)!::write(fd, "abc", 3);
  deeds.push_back({"write", id, 3, 3});
  ::usleep(names_take_us);
  ::unlink(path.c_str());
  ::close(fd);
}

void use_unix(Deeds& deeds) {
  int ends[2];
  ::socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
  const std::string id = fmt::format("unix:{}", std::min(inode(ends[0]), inode(ends[1])));
  deeds.push_back({"socketpair", id, {}, 0});
  char text[64] = "hello";
  ::send(ends[0], text, 5, 0);
  deeds.push_back({"send", id, 5, 5});
  ::recv(ends[1], text, sizeof text, 0);
  deeds.push_back({"recv", id, 5, 5});
  // A descriptor goes with the message.
  int passed[2];
  (void)!::pipe2(passed, 0);
  const std::string inside = fmt::format("pipe:{}", inode(passed[0]));
  deeds.push_back({"pipe", inside, {}, 0});
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  iovec part{text, 2};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(head), &passed[0], sizeof(int));
  ::sendmsg(ends[1], &message, 0);
  deeds.push_back({"sendmsg", id, 2, 2});
  deeds.push_back({"send_fd", id, {}, passed[0]});
  message.msg_controllen = sizeof control;
  (void)::recvmsg(ends[0], &message, 0);
  deeds.push_back({"recvmsg", id, 2, 2});
  int received = -1;
  std::memcpy(&received, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof received);
  deeds.push_back({"receive_fd", id, {}, received});
  ::shutdown(ends[0], SHUT_RDWR);
  deeds.push_back({"shutdown", id, {}, 0});
  for (const int fd : {ends[0], ends[1], passed[0], passed[1], received}) {
    ::close(fd);
  }
}

void use_inet(Deeds& deeds) {
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* any = reinterpret_cast<sockaddr*>(&address);
  (void)::bind(listener, any, sizeof address);
  ::getsockname(listener, any, &size);
  const unsigned port = ntohs(address.sin_port);
  ::listen(listener, 4);
  deeds.push_back({"listen", fmt::format("tcp:127.0.0.1:{}", port), {}, 0});
  const int client = ::socket(AF_INET, SOCK_STREAM, 0);
  (void)::connect(client, any, sizeof address);
  const int server = ::accept(listener, nullptr, nullptr);
  ::getsockname(client, any, &size);
  const unsigned other = ntohs(address.sin_port);
  const std::string id =
      fmt::format("tcp:127.0.0.1:{}-127.0.0.1:{}", std::min(port, other), std::max(port, other));
  deeds.push_back({"connect", id, {}, 0});
  deeds.push_back({"accept", id, {}, server});
  char text[64] = "over TCP";
  (void)!::write(client, text, 8);
  deeds.push_back({"write", id, 8, 8});
  (void)!::read(server, text, sizeof text);
  deeds.push_back({"read", id, 8, 8});

  const int receiver = ::socket(AF_INET, SOCK_DGRAM, 0);
  address.sin_port = 0;
  (void)::bind(receiver, any, sizeof address);
  ::getsockname(receiver, any, &size);
  const int sender = ::socket(AF_INET, SOCK_DGRAM, 0);
  const unsigned to = ntohs(address.sin_port);
  (void)::connect(sender, any, sizeof address);
  ::getsockname(sender, any, &size);
  const unsigned from = ntohs(address.sin_port);
  ::send(sender, text, 4, 0);
  deeds.push_back(
      {"send", fmt::format("udp:127.0.0.1:{}-127.0.0.1:{}", std::min(to, from), std::max(to, from)),
       4, 4});
  ::recv(receiver, text, sizeof text, 0);
  deeds.push_back({"recv", fmt::format("udp:127.0.0.1:{}", to), 4, 4});
  for (const int fd : {listener, client, server, receiver, sender}) {
    ::close(fd);
  }
}

void use_system_v(Deeds& deeds) {
  const int set = ::semget(IPC_PRIVATE, 2, 0600);
  const std::string set_id = fmt::format("sem:{}", set);
  deeds.push_back({"semget", set_id, {}, set});
  sembuf up{0, 1, 0};
  ::semop(set, &up, 1);
  deeds.push_back({"semop", set_id, {}, 0});
  sembuf down{1, -1, IPC_NOWAIT};
  ::semop(set, &down, 1);
  deeds.push_back({"semop", set_id, {}, -EAGAIN});
  ::semctl(set, 0, IPC_RMID);
  deeds.push_back({"semctl", set_id, {}, 0});

  const int queue = ::msgget(IPC_PRIVATE, 0600);
  const std::string queue_id = fmt::format("msg:{}", queue);
  deeds.push_back({"msgget", queue_id, {}, queue});
  struct {
    long type = 7;
    char text[16] = "a message";
  } message;
  ::msgsnd(queue, &message, 9, 0);
  deeds.push_back({"msgsnd", queue_id, 9, 0});
  const ssize_t got = ::msgrcv(queue, &message, sizeof message.text, 7, 0);
  deeds.push_back({"msgrcv", queue_id, 9, got});
  ::msgctl(queue, IPC_RMID, nullptr);
  deeds.push_back({"msgctl", queue_id, {}, 0});

  const int segment = ::shmget(IPC_PRIVATE, 4096, 0600);
  const std::string segment_id = fmt::format("shm:{}", segment);
  deeds.push_back({"shmget", segment_id, {}, segment});
  void* memory = ::shmat(segment, nullptr, 0);
  deeds.push_back({"shmat", segment_id, {}, reinterpret_cast<int64_t>(memory)});
  ::shmctl(segment, IPC_RMID, nullptr);
  deeds.push_back({"shmctl", segment_id, {}, 0});
}

void use_posix(Deeds& deeds) {
  const std::string name = "/" + own("mq");
  mq_attr attributes{};
  attributes.mq_maxmsg = 4;
  attributes.mq_msgsize = 64;
  const mqd_t queue = ::mq_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600, &attributes);
  const std::string id = "mq:" + name;
  deeds.push_back({"mq_open", id, {}, queue});
  ::mq_send(queue, "message", 7, 3);
  deeds.push_back({"mq_send", id, 7, 0});
  char text[64];
  ::mq_receive(queue, text, sizeof text, nullptr);
  deeds.push_back({"mq_receive", id, 7, 7});
  ::mq_unlink(name.c_str());
  deeds.push_back({"mq_unlink", id, {}, 0});
  ::mq_close(queue);

  const std::string object = "/" + own("shm");
  const int fd = ::shm_open(object.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600);
  deeds.push_back({"open", "posixshm:" + object, {}, fd});
  (void)!::ftruncate(fd, 4096);
  deeds.push_back({"ftruncate", "posixshm:" + object, {}, 0});
  void* memory = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  auto* word = static_cast<uint32_t*>(memory) + 4;
  ::syscall(SYS_futex, word, FUTEX_WAKE, 1, nullptr, nullptr, 0);
  deeds.push_back({"futex_wake", "futex:/dev/shm" + object + "+0x10", {}, 0});
  ::usleep(names_take_us);
  ::shm_unlink(object.c_str());
  deeds.push_back({"unlink", "posixshm:" + object, {}, 0});
  ::munmap(memory, 4096);
  ::close(fd);

  const int memfd = static_cast<int>(::syscall(SYS_memfd_create, "ipcscope-test-memfd", 0));
  deeds.push_back(
      {"memfd_create", fmt::format("memfd:ipcscope-test-memfd#{}", inode(memfd)), {}, memfd});
  ::close(memfd);
}

void use_futex(Deeds& deeds) {
  static uint32_t word = 0;
  const std::string id =
      fmt::format("futex:{}:0x{:x}", ::getpid(), reinterpret_cast<uintptr_t>(&word));
  const timespec soon{0, 1'000'000};
  ::syscall(SYS_futex, &word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 0, &soon, nullptr, 0);
  deeds.push_back({"futex_wait", id, {}, -ETIMEDOUT});
  ::syscall(SYS_futex, &word, FUTEX_WAIT, 1, nullptr, nullptr, 0);
  deeds.push_back({"futex_wait", id, {}, -EAGAIN});
  ::syscall(SYS_futex, &word, FUTEX_WAKE_BITSET | FUTEX_PRIVATE_FLAG, 1, nullptr, nullptr, 1);
  deeds.push_back({"futex_wake_bitset", id, {}, 0});
  ::syscall(SYS_futex, &word, FUTEX_LOCK_PI | FUTEX_PRIVATE_FLAG, 0, nullptr, nullptr, 0);
  deeds.push_back({"futex_lock_pi", id, {}, 0});
  ::syscall(SYS_futex, &word, FUTEX_UNLOCK_PI | FUTEX_PRIVATE_FLAG, 0, nullptr, nullptr, 0);
  deeds.push_back({"futex_unlock_pi", id, {}, 0});
}

void use_locks(Deeds& deeds) {
  const std::string path = "/tmp/" + own("lock");
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT, 0600);
  ::flock(fd, LOCK_EX);
  deeds.push_back({"flock", "flock:" + path, {}, 0});
  struct flock range {};
  range.l_type = F_WRLCK;
  range.l_whence = SEEK_SET;
  range.l_len = 10;
  ::fcntl(fd, F_SETLKW, &range);
  deeds.push_back({"fcntl", "fcntl:" + path, {}, 0});
  range.l_pid = 0;
  ::fcntl(fd, F_OFD_SETLK, &range);
  deeds.push_back({"fcntl", "ofd:" + path, {}, -EAGAIN});
  ::usleep(names_take_us);
  ::unlink(path.c_str());
  ::close(fd);
}

void use_descriptors(Deeds& deeds) {
  const int event = ::eventfd(0, 0);
  const std::string id = fmt::format("eventfd:{}", fdinfo(event, "eventfd-id:"));
  deeds.push_back({"eventfd", id, {}, event});
  uint64_t value = 3;
  (void)!::write(event, &value, sizeof value);
  deeds.push_back({"write", id, 8, 8});
  pollfd one{event, POLLIN, 0};
  ::poll(&one, 1, 0);
  deeds.push_back({"poll", id, {}, 1});
  (void)!::read(event, &value, sizeof value);
  deeds.push_back({"read", id, 8, 8});

  const int epoll = ::epoll_create1(0);
  const std::string epoll_id = fmt::format("epoll:{}:{}", ::getpid(), epoll);
  deeds.push_back({"epoll_create", epoll_id, {}, epoll});
  epoll_event item{};
  item.events = EPOLLIN;
  ::epoll_ctl(epoll, EPOLL_CTL_ADD, event, &item);
  deeds.push_back({"epoll_ctl", epoll_id, {}, 0});
  ::epoll_wait(epoll, &item, 1, 1);
  deeds.push_back({"epoll_wait", epoll_id, {}, 0});

  const int timer = ::timerfd_create(CLOCK_MONOTONIC, 0);
  const std::string timer_id = fmt::format("timerfd:{}:{}", ::getpid(), timer);
  deeds.push_back({"timerfd_create", timer_id, {}, timer});
  const itimerspec soon{{0, 0}, {0, 1'000'000}};
  ::timerfd_settime(timer, 0, &soon, nullptr);
  deeds.push_back({"timerfd_settime", timer_id, {}, 0});
  (void)!::read(timer, &value, sizeof value);
  deeds.push_back({"read", timer_id, 8, 8});

  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGUSR1);
  ::sigprocmask(SIG_BLOCK, &mask, nullptr);
  const int signals = ::signalfd(-1, &mask, 0);
  const std::string signals_id = fmt::format("signalfd:{}:{}", ::getpid(), signals);
  deeds.push_back({"signalfd", signals_id, {}, signals});
  ::raise(SIGUSR1);
  deeds.push_back({"signal_generate", fmt::format("signal:{}", ::getpid()), {}, 0});
  signalfd_siginfo info{};
  (void)!::read(signals, &info, sizeof info);
  deeds.push_back({"read", signals_id, sizeof info, sizeof info});

  const int notify = ::inotify_init1(0);
  deeds.push_back({"inotify_init", fmt::format("inotify:{}:{}", ::getpid(), notify), {}, notify});
  const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, ::getppid(), 0));
  deeds.push_back({"pidfd_open", fmt::format("pidfd:{}", ::getppid()), {}, pidfd});
  for (const int fd : {event, epoll, timer, signals, notify, pidfd}) {
    ::close(fd);
  }
}

void handle(int /*signal*/) {}

void use_signals(Deeds& deeds) {
  ::signal(SIGUSR2, handle);
  ::kill(::getpid(), SIGUSR2);
  deeds.push_back({"signal_deliver", fmt::format("signal:{}", ::getpid()), {}, 0});
}

void use_splice(Deeds& deeds) {
  int first[2];
  int second[2];
  (void)!::pipe2(first, 0);
  (void)!::pipe2(second, 0);
  (void)!::write(first[1], "spliced", 7);
  const std::string id = fmt::format("pipe:{}", inode(first[0]));
  deeds.push_back({"tee", id, 7, ::tee(first[0], second[1], 7, 0)});
  deeds.push_back({"splice", id, 7, ::splice(first[0], nullptr, second[1], nullptr, 7, 0)});
  char text[] = "vm";
  iovec part{text, 2};
  deeds.push_back({"vmsplice", id, 2, ::vmsplice(first[1], &part, 1, 0)});
  for (const int fd : {first[0], first[1], second[0], second[1]}) {
    ::close(fd);
  }
}

void use_terminal(Deeds& deeds) {
  const int master = ::posix_openpt(O_RDWR | O_NOCTTY);
  ::grantpt(master);
  ::unlockpt(master);
  const char* name = ::ptsname(master);
  const std::string id = fmt::format("pty:{}", name + sizeof "/dev/pts/" - 1);
  const int slave = ::open(name, O_RDWR | O_NOCTTY);
  deeds.push_back({"open", id, {}, slave});
  (void)!::write(slave, "tty", 3);
  deeds.push_back({"write", id, 3, 3});
  char text[16];
  (void)!::read(master, text, sizeof text);
  deeds.push_back({"read", id, 3, 3});
  ::close(slave);
  ::close(master);
}

void tell(int fd, const Deeds& deeds) {
  std::string text;
  for (const Deed& deed : deeds) {
    text +=
        fmt::format("{} {} {} {}\n", deed.operation,
                    deed.bytes ? fmt::format("{}", *deed.bytes) : "-", deed.result, deed.channel);
  }
  (void)!::write(fd, text.data(), text.size());
}

}  // namespace

std::vector<Deed> use_everything() {
  Deeds deeds;
  use_pipe(deeds);
  use_fifo(deeds);
  use_unix(deeds);
  use_inet(deeds);
  use_system_v(deeds);
  use_posix(deeds);
  use_futex(deeds);
  use_locks(deeds);
  use_descriptors(deeds);
  use_signals(deeds);
  use_splice(deeds);
  use_terminal(deeds);
  return deeds;
}

Actor::Actor(std::vector<Deed> (*program)()) {
  int go[2];
  int told[2];
  if (::pipe2(go, O_CLOEXEC) != 0 || ::pipe2(told, O_CLOEXEC) != 0) {
    throw std::runtime_error("pipe2");
  }
  pid_ = ::fork();
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::close(go[1]);
    ::close(told[0]);
    char byte = 0;
    if (::read(go[0], &byte, 1) == 1) {
      tell(told[1], program());
      ::close(told[1]);
      (void)!::read(go[0], &byte, 1);
    }
    ::_exit(0);
  }
  ::close(go[0]);
  ::close(told[1]);
  go_.reset(go[1]);
  told_.reset(told[0]);
}

Actor::~Actor() {
  go_.reset();
  told_.reset();
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

std::vector<Deed> Actor::act() {
  (void)!::write(go_.get(), "g", 1);
  std::string text;
  char block[4096];
  for (ssize_t got = 0; (got = ::read(told_.get(), block, sizeof block)) > 0;) {
    text.append(block, static_cast<size_t>(got));
  }
  std::vector<Deed> deeds;
  std::istringstream lines(text);
  Deed deed;
  std::string bytes;
  while (lines >> deed.operation >> bytes >> deed.result && std::getline(lines, deed.channel)) {
    deed.channel.erase(0, 1);
    deed.bytes = bytes == "-" ? std::nullopt : std::optional<uint64_t>(std::stoull(bytes));
    deeds.push_back(deed);
  }
  return deeds;
}

}  // namespace ipcscope::live
