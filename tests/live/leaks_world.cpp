// SPDX-License-Identifier: GPL-2.0-or-later
//
// Runs the world of the leaks trial beside a cleaner, and says what the cleaner did to it:
//   ipcscope-leaks-world SECONDS SEED CLEANER [ARGUMENT...]
// The objects are in namespaces of their own: IPC, mount (with its own /dev/shm, /run and
// /tmp), and for the workers PID. The cleaner shares all but the last, because whoever does not
// see all processes must not remove anything.
#include "tests/live/leaks_world.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <random>
#include <set>
#include <vector>

namespace ipcscope::world {

namespace {

using Clock = std::chrono::steady_clock;

/// The ends of a result that the test reads.
constexpr int exit_impossible = 77;

/// A cleaner has so many tries at what is left in the end.
constexpr uint64_t most_last_runs = 4;

[[noreturn]] void fail(std::string_view what) {
  const int error = errno;
  fmt::print(stderr, "cannot {}: {}\n", what, std::strerror(error));
  const bool refused = error == EPERM || error == ENOSYS || error == EACCES;
  ::_exit(refused ? exit_impossible : 1);
}

void check(long result, std::string_view what) {
  if (result < 0) {
    fail(what);
  }
}

/// A child with these numbers, the first in the innermost PID namespace. None: any.
pid_t start(uint64_t flags, const std::vector<pid_t>& numbers) {
  clone_args arguments{};
  arguments.flags = flags;
  arguments.exit_signal = SIGCHLD;
  arguments.set_tid = reinterpret_cast<uintptr_t>(numbers.data());
  arguments.set_tid_size = numbers.size();
  return static_cast<pid_t>(::syscall(SYS_clone3, &arguments, sizeof arguments));
}

/// Process 1 of the world: starts workers, kills some, and collects them.
class Init {
 public:
  Init(World& world, uint64_t seed) : world_(world), random_(seed) {}

  [[noreturn]] void run() {
    while (!world_.ends) {
      for (uint32_t i = 0; i < worker_count; i++) {
        if (world_.workers[i].pid == 0) {
          start_worker(i);
        }
      }
      if (random_() % 4 == 0) {
        kill_one();
      }
      ::usleep(2000);
      collect();
    }
    ::kill(-1, SIGKILL);
    while (::waitpid(-1, nullptr, 0) > 0 || errno == EINTR) {
    }
    ::_exit(0);
  }

 private:
  struct Numbers {
    pid_t pid;
    pid_t host_pid;
  };

  void start_worker(uint32_t place) {
    const uint32_t incarnation = next_++;
    const uint64_t seed = random_();
    pid_t pid = -1;
    bool reused = false;
    // The numbers of those that are gone, so that they become others'.
    if (!dead_.empty() && random_() % 4 != 0) {
      const Numbers numbers = dead_[random_() % dead_.size()];
      pid = start(0, {numbers.pid, numbers.host_pid});
      reused = pid > 0;
    }
    if (pid < 0) {
      pid = start(0, {});
    }
    if (pid < 0) {
      return;  // too many processes for now
    }
    Worker& worker = world_.workers[place];
    if (pid == 0) {
      char link[32] = {};
      if (::readlink("/proc/self", link, sizeof link - 1) > 0) {
        worker.host_pid = std::atoi(link);
      }
      while (worker.pid != ::getpid()) {
        ::usleep(100);
      }
      work(world_, place, incarnation, seed);
    }
    incarnations_[place] = incarnation;
    worker.pid = pid;
    world_.reused += reused ? 1 : 0;
  }

  void kill_one() {
    const pid_t pid = world_.workers[random_() % worker_count].pid;
    if (pid > 1) {
      ::kill(pid, SIGKILL);
    }
  }

  void collect() {
    for (pid_t pid = 0; (pid = ::waitpid(-1, nullptr, WNOHANG)) > 0;) {
      for (uint32_t i = 0; i < worker_count; i++) {
        Worker& worker = world_.workers[i];
        if (worker.pid != pid) {
          continue;
        }
        world_.deaths++;
        const pid_t host_pid = worker.host_pid;
        if (host_pid > 0) {
          dead_.push_back({pid, host_pid});
        }
        give_back(incarnations_[i]);
        worker.host_pid = 0;
        worker.pid = 0;
      }
    }
    // The newest numbers: reuse within the second in which an object was used is the hard case.
    if (dead_.size() > 64) {
      dead_.erase(dead_.begin(), dead_.end() - 64);
    }
  }

  /// What a dead worker held is free to be adopted.
  void give_back(uint32_t incarnation) {
    const uint32_t count = std::min(world_.slots.load(), slot_count);
    for (uint32_t i = 0; i < count; i++) {
      uint32_t holder = incarnation;
      world_.slot[i].holder.compare_exchange_strong(holder, 0);
    }
  }

  World& world_;
  std::mt19937_64 random_;
  uint32_t next_ = 1;
  std::array<uint32_t, worker_count> incarnations_{};
  std::vector<Numbers> dead_;
};

void mount_own(const char* type, const char* path) {
  check(::mount("ipcscope-test", path, type, 0, nullptr), fmt::format("mount {}", path));
}

void enter_namespaces() {
  check(::unshare(CLONE_NEWIPC | CLONE_NEWNS), "make namespaces");
  check(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "keep mounts private");
  for (const char* path : {"/dev/shm", "/run", "/tmp"}) {
    mount_own("tmpfs", path);
  }
  check(::mkdir(queue_directory, 0755), "make a directory");
  mount_own("mqueue", queue_directory);
  check(::mkdir(socket_directory, 0755), "make a directory");
}

/// Runs the cleaner to its end. Its descriptor is open since before /tmp was covered.
class Cleaner {
 public:
  Cleaner(const std::string& program, std::vector<std::string> arguments)
      : program_(::open(program.c_str(), O_RDONLY)), arguments_(std::move(arguments)) {
    check(program_, "open " + program);
  }

  void run() {
    const int output = ::memfd_create("cleaner", MFD_CLOEXEC);
    const pid_t pid = ::fork();
    check(pid, "start the cleaner");
    if (pid == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      // It must not be kept from its work between its last look at an object and the removal.
      ::setpriority(PRIO_PROCESS, 0, -10);
      ::dup2(output, STDOUT_FILENO);
      ::dup2(output, STDERR_FILENO);
      std::vector<char*> words;
      for (std::string& each : arguments_) {
        words.push_back(each.data());
      }
      words.push_back(nullptr);
      ::fexecve(program_, words.data(), environ);
      ::_exit(127);
    }
    int status = 0;
    check(::waitpid(pid, &status, 0), "wait for the cleaner");
    runs++;
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (code > 1) {
      failures++;
      text.resize(2000);
      const ssize_t got = ::pread(output, text.data(), text.size(), 0);
      text.resize(got > 0 ? static_cast<size_t>(got) : 0);
      text = fmt::format("status {}: {}", code, text);
    }
    ::close(output);
  }

  uint64_t runs = 0;
  uint64_t failures = 0;
  std::string text;  ///< of the last failure

 private:
  int program_;
  std::vector<std::string> arguments_;
};

// What is left, as the kernel tells it and not the model.

struct Left {
  uint64_t objects = 0;
  uint64_t untraceable = 0;  ///< sets and queues of root: the kernel does not say whose they were
  uint64_t unborn = 0;       ///< files that never became an object
  std::vector<std::string> names;
};

/// The files in /dev/shm that were an object of the world.
std::set<uint64_t> inodes_of(const World& world) {
  std::set<uint64_t> inodes;
  const uint32_t count = std::min(world.slots.load(), slot_count);
  for (uint32_t i = 0; i < count; i++) {
    const Slot& slot = world.slot[i];
    if (slot.kind == Kind::posixshm || slot.kind == Kind::posixsem) {
      inodes.insert(slot.inode);
    }
  }
  return inodes;
}

/// A name comes before its memory: shm_open() makes an empty file, which ftruncate() gives a size,
/// and sem_open() writes its own under another name (glibc 2.36 sysdeps/pthread/sem_open.c). What a
/// worker leaves that is killed in between was never an object, and anybody makes empty files: a
/// cleaner must not take it for a segment.
bool is_unborn(const std::string& path, const std::set<uint64_t>& born) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) && status.st_size == 0 &&
         born.count(status.st_ino) == 0;
}

Left find_left(const World& world) {
  Left left;
  const auto add = [&](const char* kind, int id, bool traceable) {
    if (traceable) {
      left.objects++;
      left.names.push_back(fmt::format("{} {}", kind, id));
    } else {
      left.untraceable++;
    }
  };
  shmid_ds segment{};
  const int segments = ::shmctl(0, SHM_INFO, &segment);
  for (int i = 0; i <= segments; i++) {
    if (const int id = ::shmctl(i, SHM_STAT, &segment); id >= 0) {
      add("shm", id, true);
    }
  }
  semid_ds set{};
  seminfo limits{};
  const int sets = ::semctl(0, 0, SEM_INFO, &limits);
  for (int i = 0; i <= sets; i++) {
    if (const int id = ::semctl(i, 0, SEM_STAT, &set); id >= 0) {
      add("sem", id, set.sem_perm.cuid == departed_user);
    }
  }
  msqid_ds queue{};
  const int queues = ::msgctl(0, MSG_INFO, &queue);
  for (int i = 0; i <= queues; i++) {
    if (const int id = ::msgctl(i, MSG_STAT, &queue); id >= 0) {
      add("msg", id, queue.msg_perm.cuid == departed_user);
    }
  }
  const std::set<uint64_t> born = inodes_of(world);
  for (const char* directory : {"/dev/shm", queue_directory, socket_directory}) {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
      const std::string path = entry.path().string();
      if (directory == std::string_view("/dev/shm") && is_unborn(path, born)) {
        left.unborn++;
      } else {
        left.objects++;
        left.names.push_back(path);
      }
    }
  }
  return left;
}

std::string per_kind(const std::array<std::atomic<uint64_t>, kind_count>& counts) {
  std::string text;
  for (size_t i = 0; i < kind_count; i++) {
    text += fmt::format("{}\"{}\":{}", i == 0 ? "" : ",", kind_names[i], counts[i].load());
  }
  return "{" + text + "}";
}

/// As JSON; the texts have no bytes that need an escape but those of the cleaner.
std::string json_text(std::string_view text) {
  std::string result = "\"";
  for (const char each : text) {
    if (each == '"' || each == '\\' || static_cast<unsigned char>(each) < 0x20) {
      result += fmt::format("\\u{:04x}", static_cast<unsigned char>(each));
    } else if (static_cast<unsigned char>(each) < 0x7f) {
      result += each;
    }
  }
  return result + "\"";
}

template <typename List>
std::string json_list(const List& list, size_t most) {
  std::string text;
  size_t count = 0;
  for (const auto& each : list) {
    if (count++ < most) {
      text += (text.empty() ? "" : ",") + json_text(std::string_view(each.data()));
    }
  }
  return "[" + text + "]";
}

uint64_t sum(const std::array<std::atomic<uint64_t>, kind_count>& counts) {
  uint64_t total = 0;
  for (const auto& each : counts) {
    total += each;
  }
  return total;
}

void report(const World& world, uint64_t seed, const Cleaner& cleaner, uint64_t last_runs,
            const Left& left) {
  const uint64_t made_count = sum(world.objects);
  const uint64_t by_workers = sum(world.removed_by_workers);
  const uint64_t kept = left.objects + left.untraceable;
  std::vector<std::array<char, 160>> messages(
      world.messages.begin(),
      world.messages.begin() + std::min<size_t>(world.message_count, world.messages.size()));
  fmt::print(
      "{{\"seed\":{},\"steps\":{},\"checks\":{},\"objects\":{},\"removed_by_workers\":{},"
      "\"removed\":{},\"adopted\":{},\"blocked\":{},\"deaths\":{},\"reused\":{},"
      "\"successions\":{},\"raced\":{},\"live_removed\":{},\"left\":{},\"untraceable\":{},"
      "\"unborn\":{},\"cleaner_runs\":{},\"last_runs\":{},"
      "\"cleaner_failures\":{},\"cleaner_error\":{},"
      "\"by_kind\":{{"
      "\"objects\":{},\"live_removed\":{}}},\"live_removed_list\":{},\"left_list\":{}}}\n",
      seed, world.steps.load(), world.checks.load(), made_count, by_workers,
      made_count > by_workers + kept ? made_count - by_workers - kept : 0, world.adopted.load(),
      world.blocked.load(), world.deaths.load(), world.reused.load(), world.successions.load(),
      world.raced.load(), sum(world.live_removed), left.objects, left.untraceable, left.unborn,
      cleaner.runs, last_runs, cleaner.failures, json_text(cleaner.text), per_kind(world.objects),
      per_kind(world.live_removed), json_list(messages, 20), json_list(left.names, 20));
}

int run(double seconds, uint64_t seed, const std::string& program,
        std::vector<std::string> arguments) {
  Cleaner cleaner(program, std::move(arguments));
  enter_namespaces();
  void* memory =
      ::mmap(nullptr, sizeof(World), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    fail("map memory");
  }
  World& world = *new (memory) World{};
  const pid_t init = start(CLONE_NEWPID, {});
  check(init, "make a PID namespace");
  if (init == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::setpriority(PRIO_PROCESS, 0, 10);
    Init(world, seed).run();
  }
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  while (Clock::now() < end && !world.ends) {
    cleaner.run();
  }
  world.ends = true;
  int status = 0;
  check(::waitpid(init, &status, 0), "wait for the world");
  if (status != 0) {
    fmt::print(stderr, "the world ended with status {:#x}\n", status);
    return 1;
  }
  // A cleaner spares what was made only now. And one look may prove nothing: when a process of this
  // host ends in it, nobody knows who else was in its network namespace, and what is bound there.
  ::usleep(1'500'000);
  Left left;
  uint64_t last_runs = 0;
  do {
    cleaner.run();
    left = find_left(world);
    last_runs++;
  } while (left.objects > 0 && last_runs < most_last_runs);
  report(world, seed, cleaner, last_runs, left);
  return 0;
}

}  // namespace

}  // namespace ipcscope::world

int main(int argc, char** argv) {
  if (argc < 4) {
    fmt::print(stderr, "usage: ipcscope-leaks-world SECONDS SEED CLEANER [ARGUMENT...]\n");
    return 2;
  }
  const std::vector<std::string> command(argv + 3, argv + argc);
  return ipcscope::world::run(std::atof(argv[1]), std::strtoull(argv[2], nullptr, 10), command[0],
                              command);
}
