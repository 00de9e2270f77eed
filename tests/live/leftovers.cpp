// SPDX-License-Identifier: GPL-2.0-or-later
// What the kernel says of objects that were left behind, and of those that only look so.
#include "collectors/leftovers.h"

#include <fcntl.h>
#include <mqueue.h>
#include <sched.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <csignal>
#include <cstdlib>
#include <functional>

#include "collectors/leftovers/leases.h"
#include "collectors/leftovers/sysv_waiters.h"
#include "collectors/session.h"
#include "tests/live/leases.h"
#include "tests/live/main.h"

using namespace ipcscope;

namespace {

/// A child that makes objects, tells that they are there and sleeps until it is killed.
class Holder {
 public:
  /// make returns the number that is told, below 0 when it could not.
  explicit Holder(const std::function<int()>& make, const std::function<void()>& then = ::pause) {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    const Fd reader(ends[0]);
    Fd writer(ends[1]);
    pid_ = ::fork();
    REQUIRE(pid_ >= 0);
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      const int made = make();
      if (::write(writer.get(), &made, sizeof made) != sizeof made) {
        ::_exit(1);
      }
      then();
      ::_exit(0);
    }
    writer.reset();
    if (::read(reader.get(), &number_, sizeof number_) != sizeof number_) {
      number_ = -1;
    }
  }
  ~Holder() { end(); }
  Holder(const Holder&) = delete;
  Holder& operator=(const Holder&) = delete;
  void end() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
      pid_ = 0;
    }
  }
  [[nodiscard]] int number() const { return number_; }
  [[nodiscard]] pid_t pid() const { return pid_; }
  /// Waits until its main thread sleeps in the kernel.
  void wait_asleep() const {
    for (int round = 0; round < 2000; round++) {
      const Result<ProcRoot> proc = ProcRoot::open();
      const Result<std::string> text = proc->read(std::to_string(pid_) + "/stat");
      if (text && text->find(") S ") != std::string::npos) {
        return;
      }
      ::usleep(1000);
    }
  }

 private:
  pid_t pid_ = 0;
  int number_ = -1;
};

/// A semaphore set of the test's own IPC namespace, gone at its end.
class Set {
 public:
  explicit Set(int count) : id_(::semget(IPC_PRIVATE, count, 0600)) { REQUIRE(id_ >= 0); }
  ~Set() { ::semctl(id_, 0, IPC_RMID); }
  Set(const Set&) = delete;
  Set& operator=(const Set&) = delete;
  [[nodiscard]] int id() const { return id_; }

 private:
  int id_;
};

bool operate(int set, int index, int change, int flags) {
  sembuf operation{static_cast<unsigned short>(index), static_cast<short>(change),
                   static_cast<short>(flags)};
  return ::semop(set, &operation, 1) == 0;
}

/// A name that no other run of this test has.
std::string own_name(const char* what) {
  return "ipcscope-test-" + std::to_string(::getpid()) + "-" + what;
}

/// One look at the host.
struct Look {
  Look() : proc(ProcRoot::open()) {
    Request request;
    Result<Snapshot> taken = take_snapshot(request, *proc);
    REQUIRE(taken);
    snapshot = std::move(*taken);
    leftovers = find_leftovers(snapshot, *proc, SourceChoice::automatic, coverage);
  }
  [[nodiscard]] ObjectFacts object(const std::string& id) const {
    for (ChannelIndex i = 0; i < snapshot.channels.size(); i++) {
      if (snapshot.channels[i].id == id) {
        const auto found = leftovers.objects.find(i);
        return found == leftovers.objects.end() ? ObjectFacts() : found->second;
      }
    }
    FAIL("no channel " << id);
    return {};
  }
  [[nodiscard]] const PathFact* path(const std::string& path) const {
    const auto found = std::find_if(leftovers.paths.begin(), leftovers.paths.end(),
                                    [&](const PathFact& each) { return each.path == path; });
    return found == leftovers.paths.end() ? nullptr : &*found;
  }

  Result<ProcRoot> proc;
  Snapshot snapshot;
  std::vector<Coverage> coverage;
  Leftovers leftovers;
};

uint32_t ipc_ns_of(pid_t pid) { return ProcRoot::open()->namespace_id(pid, "ipc").value_or(0); }

/// A POSIX shared memory object that is gone at the end.
struct Object {
  std::string name;
  explicit Object(const char* what) : name("/" + own_name(what)) {}
  ~Object() { ::shm_unlink(name.c_str()); }
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;
  [[nodiscard]] Fd open() const { return Fd(::shm_open(name.c_str(), O_CREAT | O_RDWR, 0600)); }
};

/// A file in /tmp that is gone at the end.
struct TemporaryPath {
  explicit TemporaryPath(const char* what) : path("/tmp/" + own_name(what)) {
    ::unlink(path.c_str());
  }
  ~TemporaryPath() { ::unlink(path.c_str()); }
  TemporaryPath(const TemporaryPath&) = delete;
  TemporaryPath& operator=(const TemporaryPath&) = delete;
  std::string path;
};

Fd bound_socket(const std::string& path) {
  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  REQUIRE(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  return socket;
}

}  // namespace

TEST_CASE("undo structures and blocked threads", "[kernels]") {
  const Set undone(3);
  const Set waited(40);
  const Set idle(1);
  const Holder undoer([&] { return operate(undone.id(), 1, 1, SEM_UNDO) ? 0 : -1; });
  REQUIRE(undoer.number() == 0);
  const Holder waiter([] { return 0; }, [&] { operate(waited.id(), 37, -1, 0); });
  const Holder zero_waiter([&] { return operate(waited.id(), 5, 1, 0) ? 0 : -1; },
                           [&] { operate(waited.id(), 5, 0, 0); });
  // In another namespace: a queue, and a receiver that nothing comes for.
  int queue = -1;
  const Holder receiver(
      [&] {
        queue = ::unshare(CLONE_NEWIPC) == 0 ? ::msgget(IPC_PRIVATE, 0600) : -1;
        return queue;
      },
      [&] {
        long message[2];
        ::msgrcv(queue, message, sizeof message[1], 0, 0);
      });
  REQUIRE(receiver.number() >= 0);
  waiter.wait_asleep();
  zero_waiter.wait_asleep();
  receiver.wait_asleep();

  const Look look;
  for (const Coverage& each : look.coverage) {
    if (each.source == "bpf-sysv" && each.state == Coverage::State::unavailable) {
      return live::tell_impossible(each.reason);
    }
  }
  const std::string set = "sem:";
  CHECK(look.object(set + std::to_string(undone.id())).undos == 1U);
  CHECK(look.object(set + std::to_string(undone.id())).blocked == 0U);
  CHECK(look.object(set + std::to_string(waited.id())).undos == 0U);
  CHECK(look.object(set + std::to_string(waited.id())).blocked == 2U);
  CHECK(look.object(set + std::to_string(idle.id())).undos == 0U);
  CHECK(look.object(set + std::to_string(idle.id())).blocked == 0U);
  const std::string other =
      "msg:" + std::to_string(receiver.number()) + "@" + std::to_string(ipc_ns_of(receiver.pid()));
  CHECK(look.object(other).blocked == 1U);
  CHECK_FALSE(look.object(other).undos);
}

TEST_CASE("sets and queues of every loader") {
  // More than one node of the kernel's tree, with a hole in it.
  const Holder crowd([] {
    if (::unshare(CLONE_NEWIPC) != 0) {
      return -1;
    }
    std::vector<int> sets;
    for (int i = 0; i < 200; i++) {
      sets.push_back(::semget(IPC_PRIVATE, 1, 0600));
      if (sets.back() < 0 || ::msgget(IPC_PRIVATE, 0600) < 0) {
        return -1;
      }
    }
    for (int i = 20; i < 180; i++) {
      ::semctl(sets[static_cast<size_t>(i)], 0, IPC_RMID);
    }
    return 0;
  });
  REQUIRE(crowd.number() == 0);
  const Look look;
  const uint32_t space = ipc_ns_of(crowd.pid());
  for (const unsigned loading : {BPF_LOADING_LIGHT, BPF_LOADING_FULL, BPF_LOADING_OLD}) {
    SysvWaiters waiters;
    waiters.collect(loading);
    Leftovers leftovers;
    std::vector<Coverage> coverage;
    waiters.join(look.snapshot, look.proc->namespace_id(::getpid(), "ipc").value_or(0), leftovers,
                 coverage);
    REQUIRE(coverage.size() == 1);
    INFO(coverage.front().reason);
    uint64_t sets = 0;
    uint64_t queues = 0;
    for (const auto& [index, facts] : leftovers.objects) {
      const Channel& channel = look.snapshot.channels[index];
      if (channel.name_space == space) {
        (channel.kind == Kind::sem ? sets : queues)++;
        CHECK(facts.blocked == 0U);
      }
    }
    CHECK(sets == 40);
    CHECK(queues == 200);
  }
}

TEST_CASE("write leases tell who uses a POSIX object", "[kernels]") {
  const Object left("left");
  const Object open("open");
  const Object in_flight("flight");
  const Object mapped("mapped");
  CHECK(left.open());
  const Fd opened = open.open();
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) == 0);
  const Fd sender(ends[0]);
  const Fd receiver(ends[1]);
  {
    const Fd sent = in_flight.open();
    char control[CMSG_SPACE(sizeof(int))] = {};
    char byte = 0;
    iovec part{&byte, 1};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int));
    const int number = sent.get();
    std::copy_n(reinterpret_cast<const unsigned char*>(&number), sizeof number, CMSG_DATA(head));
    REQUIRE(::sendmsg(sender.get(), &message, 0) == 1);
  }
  const Fd for_mapping = mapped.open();
  REQUIRE(::ftruncate(for_mapping.get(), 4096) == 0);
  const Fd reading(::shm_open(mapped.name.c_str(), O_RDONLY, 0));
  void* memory = ::mmap(nullptr, 4096, PROT_READ, MAP_SHARED, reading.get(), 0);
  REQUIRE(memory != MAP_FAILED);

  // The snapshot of somebody who sees nobody: every object is a candidate.
  Look look;
  for (Channel& channel : look.snapshot.channels) {
    channel.endpoint_count = 0;
  }
  std::vector<Coverage> coverage;
  ask_leases(look.snapshot, *look.proc, look.leftovers, coverage);
  const std::string id = "posixshm:";
  CHECK(look.object(id + left.name).unused == true);
  CHECK(look.object(id + open.name).unused == false);
  CHECK(look.object(id + in_flight.name).unused == false);
  CHECK(look.object(id + mapped.name).unused == false);
  ::munmap(memory, 4096);
}

TEST_CASE("write leases tell who uses a queue", "[kernels]") {
  if (!ipcscope::live::has_queue_leases()) {
    return;
  }
  // Two queues in another namespace, one of them open.
  const Holder other([] {
    if (::unshare(CLONE_NEWIPC) != 0) {
      return -1;
    }
    ::mq_close(::mq_open("/ipcscope-test-left", O_CREAT | O_RDWR, 0600, nullptr));
    return ::mq_open("/ipcscope-test-open", O_CREAT | O_RDWR, 0600, nullptr) >= 0 ? 0 : -1;
  });
  REQUIRE(other.number() == 0);
  Look look;
  for (Channel& channel : look.snapshot.channels) {
    channel.endpoint_count = 0;
  }
  std::vector<Coverage> coverage;
  ask_leases(look.snapshot, *look.proc, look.leftovers, coverage);
  const std::string space = "@" + std::to_string(ipc_ns_of(other.pid()));
  CHECK(look.object("mq:/ipcscope-test-left" + space).unused == true);
  CHECK(look.object("mq:/ipcscope-test-open" + space).unused == false);
}

TEST_CASE("a lease that is broken ends nobody") {
  // Somebody who opens the file all the time, against whom leases are taken all the time.
  const Object broken("broken");
  const std::string& name = broken.name;
  struct stat status {};
  {
    const Fd file = broken.open();
    REQUIRE(::fstat(file.get(), &status) == 0);
  }
  const Holder opener([] { return 0; },
                      [&] {
                        while (true) {
                          ::close(::shm_open(name.c_str(), O_RDWR, 0));
                        }
                      });
  const Fd directory(::open("/dev/shm", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const auto device = static_cast<uint32_t>(major(status.st_dev) << 20 | minor(status.st_dev));
  int granted = 0;
  for (int round = 0; round < 200000; round++) {
    granted += is_unused(directory.get(), name.c_str() + 1, device, status.st_ino) == true ? 1 : 0;
  }
  CHECK(granted > 0);
}

TEST_CASE("socket paths, FIFOs and lock files", "[kernels]") {
  const TemporaryPath stale("stale.sock");
  const TemporaryPath bound("bound.sock");
  const TemporaryPath elsewhere("elsewhere.sock");
  const TemporaryPath fifo("fifo");
  const TemporaryPath abandoned("gone.pid");
  const TemporaryPath locked("held.lock");
  bound_socket(stale.path).reset();
  const Fd listener = bound_socket(bound.path);
  // Bound in another network namespace, to a path that is relative.
  const Holder other([&] {
    if (::unshare(CLONE_NEWNET) != 0 || ::chdir("/tmp") != 0) {
      return -1;
    }
    // It stays open until the holder ends.
    static Fd kept;
    kept = bound_socket(elsewhere.path.substr(5));
    return 0;
  });
  REQUIRE(other.number() == 0);
  REQUIRE(::mkfifo(fifo.path.c_str(), 0600) == 0);
  const Holder both([&] { return ::open(fifo.path.c_str(), O_RDWR); });
  REQUIRE(both.number() >= 0);

  Holder ended([] { return 0; });
  const int dead = ended.pid();
  ended.end();
  {
    const std::string text = std::to_string(dead) + "\n";
    const Fd file(::open(abandoned.path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    REQUIRE(::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  }
  const Holder locker([&] {
    const int file = ::open(locked.path.c_str(), O_CREAT | O_RDWR, 0600);
    const std::string text = std::to_string(::getpid()) + "\n";
    struct flock lock {};
    lock.l_type = F_WRLCK;
    return ::write(file, text.data(), text.size()) > 0 && ::fcntl(file, F_SETLK, &lock) == 0 ? 0
                                                                                             : -1;
  });
  REQUIRE(locker.number() == 0);

  const Look look;
  const PathFact* fact = look.path(stale.path);
  REQUIRE(fact != nullptr);
  struct stat status {};
  REQUIRE(::stat(stale.path.c_str(), &status) == 0);
  CHECK(fact->type == PathFact::Type::socket);
  CHECK(fact->inode == status.st_ino);
  CHECK(fact->mode == status.st_mode);
  CHECK(fact->change_time == status.st_ctim.tv_sec);
  CHECK(fact->used == false);
  fact = look.path(bound.path);
  REQUIRE(fact != nullptr);
  CHECK(fact->used == true);
  fact = look.path(elsewhere.path);
  REQUIRE(fact != nullptr);
  CHECK(fact->used == true);
  fact = look.path(abandoned.path);
  REQUIRE(fact != nullptr);
  CHECK(fact->type == PathFact::Type::lock_file);
  CHECK(fact->pid == dead);
  CHECK(fact->used == false);
  REQUIRE(look.leftovers.pids.count(dead) == 1);
  CHECK_FALSE(look.leftovers.pids.at(dead).exists);
  fact = look.path(locked.path);
  REQUIRE(fact != nullptr);
  CHECK(fact->used == true);
  CHECK(fact->pid == locker.pid());
  fact = look.path(fifo.path);
  REQUIRE(fact != nullptr);
  CHECK(fact->type == PathFact::Type::fifo);
  CHECK(fact->used == true);
}
