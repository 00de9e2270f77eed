// SPDX-License-Identifier: GPL-2.0-or-later
#include <fcntl.h>
#include <fmt/format.h>
#include <mqueue.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>
#include <random>
#include <vector>

#include "tests/live/leaks_world.h"

namespace ipcscope::world {

namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t segment_bytes = 4096;
constexpr int permissions = IPC_CREAT | IPC_EXCL | 0600;
constexpr auto longest_block = std::chrono::milliseconds(150);
constexpr uint32_t adopted_from = 300;  ///< only among the newest objects is one adopted

struct Message {
  long type = 1;
  char text[16] = {};
};

void* map_of(int fd) {
  void* address = ::mmap(nullptr, segment_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  return address == MAP_FAILED ? nullptr : address;
}

uint64_t inode_at(const std::string& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0 ? status.st_ino : 0;
}

/// For how long this process could have run and had no CPU, since it began. Zero where the kernel
/// does not count that (CONFIG_SCHED_INFO).
std::chrono::nanoseconds kept_waiting() {
  const int file = ::open("/proc/self/schedstat", O_RDONLY | O_CLOEXEC);
  char text[96] = {};
  unsigned long long ran = 0;
  unsigned long long waited = 0;
  const bool known = file >= 0 && ::read(file, text, sizeof text - 1) > 0 &&
                     std::sscanf(text, "%llu %llu", &ran, &waited) == 2;
  if (file >= 0) {
    ::close(file);
  }
  return std::chrono::nanoseconds(known ? waited : 0);
}

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  return address;
}

/// What this process has of one object.
struct Claim {
  uint32_t slot = 0;
  bool creator = false;  ///< this process made it, and the kernel can tell or must suspect that
  bool token = false;    ///< this process is the slot's holder
  bool last = false;     ///< its number is the kernel's last one for the object
  bool undo = false;
  bool adopted = false;
  void* address = nullptr;
  int fd = -1;
  int flight[2] = {-1, -1};  ///< a socket pair with a descriptor of the object under way
  Clock::time_point since;
  Clock::time_point seen;
};

/// A wait of this process, from here on.
class Block {
 public:
  /// Until now. While it was kept from a CPU, it may not have begun to wait, or be awake again.
  [[nodiscard]] Clock::duration asleep() const {
    return Clock::now() - begin_ - (kept_waiting() - kept_waiting_);
  }

 private:
  std::chrono::nanoseconds kept_waiting_ = kept_waiting();
  Clock::time_point begin_ = Clock::now();
};

class Life {
 public:
  Life(World& world, uint32_t number, uint32_t incarnation, uint64_t seed)
      : world_(world), number_(number), incarnation_(incarnation), random_(seed) {}

  [[noreturn]] void run() {
    while (true) {
      step();
      check_all();
      world_.steps++;
      ::usleep(below(2000));
    }
  }

 private:
  uint32_t below(uint32_t end) { return static_cast<uint32_t>(random_() % end); }
  Slot& slot_of(const Claim& claim) { return world_.slot[claim.slot]; }

  void step() {
    const uint32_t choice = below(1000);
    if (choice < 250) {
      make(static_cast<Kind>(below(kind_count)));
    } else if (choice < 400) {
      adopt();
    } else if (choice < 700) {
      if (Claim* claim = any_held()) {
        use(*claim);
      }
    } else if (choice < 800) {
      if (Claim* claim = any_held()) {
        release(*claim);
      }
    } else if (choice < 850) {
      if (Claim* claim = any_held()) {
        remove(*claim);
      }
    } else if (choice < 870) {
      succeed();
    } else if (choice < 890) {
      ::kill(::getpid(), SIGKILL);
    }
  }

  Claim* any_held() {
    std::vector<Claim*> held;
    for (Claim& claim : claims_) {
      if (claim.token) {
        held.push_back(&claim);
      }
    }
    return held.empty() ? nullptr : held[below(static_cast<uint32_t>(held.size()))];
  }

  // Making.

  /// A slot for an object that exists already.
  bool add(Kind kind, uint32_t name, int id, uint64_t inode, Claim claim) {
    const uint32_t index = world_.slots++;
    if (index >= slot_count) {
      world_.ends = true;
      return false;
    }
    Slot& slot = world_.slot[index];
    slot.kind = kind;
    slot.name = name;
    slot.id = id;
    slot.inode = inode;
    slot.holder = incarnation_;
    slot.state = made;
    world_.objects[static_cast<size_t>(kind)]++;
    claim.slot = index;
    claim.token = true;
    claim.since = claim.seen = Clock::now();
    claims_.push_back(claim);
    return true;
  }

  void make(Kind kind) {
    Claim claim;
    int id = -1;
    switch (kind) {
      case Kind::shm:
        id = ::shmget(below(2) == 0 ? IPC_PRIVATE : static_cast<key_t>(random_() | 1),
                      segment_bytes, permissions);
        break;
      case Kind::sem:
      case Kind::msg:
        make_set_or_queue(kind);
        return;
      default:
        make_named(kind, static_cast<uint32_t>(random_()));
        return;
    }
    claim.creator = true;
    if (id >= 0) {
      add(kind, 0, id, 0, claim);
    }
  }

  /// The kernel keeps the user of the creator, and no more. Where that is a worker's, the creator
  /// keeps it alive, whoever used it since. Where it is nobody's, only use does.
  void make_set_or_queue(Kind kind) {
    Claim claim;
    claim.creator = below(4) == 0;
    if (!claim.creator && ::seteuid(departed_user) != 0) {
      return;
    }
    const int id = kind == Kind::sem ? ::semget(IPC_PRIVATE, 2, permissions)
                                     : ::msgget(IPC_PRIVATE, permissions);
    if (::seteuid(0) == 0 && id >= 0 && add(kind, 0, id, 0, claim)) {
      use(claims_.back());
    }
  }

  bool make_named(Kind kind, uint32_t name, bool adopted = false) {
    Claim claim;
    const std::string path = path_of(kind, name);
    const std::string object = path.substr(path.rfind('/'));
    if (kind == Kind::posixshm) {
      claim.fd = ::shm_open(object.c_str(), O_CREAT | O_EXCL | O_RDWR, 0600);
      if (claim.fd >= 0 && ::ftruncate(claim.fd, segment_bytes) != 0) {
        ::close(claim.fd);
        claim.fd = -1;
      }
    } else if (kind == Kind::posixsem) {
      sem_t* semaphore = ::sem_open(("/" + object.substr(5)).c_str(), O_CREAT | O_EXCL, 0600, 1);
      claim.address = semaphore == SEM_FAILED ? nullptr : semaphore;
    } else if (kind == Kind::mq) {
      mq_attr limits{};
      limits.mq_maxmsg = 2;
      limits.mq_msgsize = 16;
      claim.fd = ::mq_open(object.c_str(), O_CREAT | O_EXCL | O_RDWR | O_NONBLOCK, 0600, &limits);
    } else {
      claim.fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
      const sockaddr_un address = address_of(path);
      if (claim.fd >= 0 &&
          ::bind(claim.fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        ::close(claim.fd);
        claim.fd = -1;
      }
    }
    if (claim.fd < 0 && claim.address == nullptr) {
      return false;
    }
    // A path without a socket for an instant: bind makes the inode first.
    claim.adopted = adopted || kind == Kind::socket;
    // One that is gone already is to be found missing.
    const uint64_t inode = inode_at(path);
    return add(kind, name, -1, inode != 0 ? inode : ~uint64_t{0}, claim);
  }

  // Using.

  void operate(Claim& claim, short change, short flags) {
    sembuf operation{static_cast<unsigned short>(below(2)), change,
                     static_cast<short>(flags | IPC_NOWAIT)};
    if (::semop(slot_of(claim).id, &operation, 1) == 0) {
      claim.last = true;
      claim.undo = claim.undo || (flags & SEM_UNDO) != 0;
    }
  }

  void use(Claim& claim) {
    const Slot& slot = slot_of(claim);
    switch (slot.kind) {
      case Kind::shm:
        use_segment(claim);
        break;
      case Kind::sem:
        if (below(4) == 0) {
          leave_only_undo(claim);
        } else {
          operate(claim, below(3) == 0 ? short{-1} : short{1}, below(2) == 0 ? SEM_UNDO : short{0});
        }
        break;
      case Kind::msg: {
        Message message;
        const int result =
            below(2) == 0
                ? ::msgsnd(slot.id, &message, sizeof message.text, IPC_NOWAIT)
                : static_cast<int>(::msgrcv(slot.id, &message, sizeof message.text, 0, IPC_NOWAIT));
        claim.last = claim.last || result >= 0;
        break;
      }
      case Kind::posixshm:
        use_memory(claim);
        break;
      case Kind::mq: {
        char text[16] = {};
        if (below(2) == 0) {
          (void)::mq_send(claim.fd, text, sizeof text, below(3));
        } else {
          (void)::mq_receive(claim.fd, text, sizeof text, nullptr);
        }
        break;
      }
      case Kind::socket:
        (void)::listen(claim.fd, 4);
        break;
      case Kind::posixsem:
        (void)::sem_post(static_cast<sem_t*>(claim.address));
        break;
    }
  }

  void use_segment(Claim& claim) {
    if (claim.address == nullptr) {
      void* address = ::shmat(slot_of(claim).id, nullptr, 0);
      if (address != reinterpret_cast<void*>(-1)) {  // NOLINT(performance-no-int-to-ptr)
        claim.address = address;
        claim.last = true;
      }
      return;
    }
    // A descriptor of the segment's file outlives the attachment.
    if (claim.fd < 0 && below(3) == 0) {
      const auto begin = reinterpret_cast<uintptr_t>(claim.address);
      claim.fd = ::open(
          fmt::format("/proc/self/map_files/{:x}-{:x}", begin, begin + segment_bytes).c_str(),
          O_RDWR);
    }
    ::shmdt(claim.address);
    claim.address = nullptr;
    claim.last = true;
  }

  void use_memory(Claim& claim) {
    const uint32_t choice = below(3);
    if (claim.fd >= 0 && claim.address == nullptr && choice == 0) {
      claim.address = map_of(claim.fd);
    } else if (claim.fd >= 0 && claim.address != nullptr && choice == 1) {
      ::close(claim.fd);
      claim.fd = -1;
    } else if (claim.fd >= 0 && claim.flight[0] < 0) {
      send_away(claim);
    }
  }

  /// Lets the only reference be a message that nobody has received.
  static void send_away(Claim& claim) {
    if (::socketpair(AF_UNIX, SOCK_STREAM, 0, claim.flight) != 0) {
      return;
    }
    char byte = 'x';
    iovec data{&byte, 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &claim.fd, sizeof(int));
    if (::sendmsg(claim.flight[0], &message, 0) == 1) {
      ::close(claim.fd);
      claim.fd = -1;
      if (claim.address != nullptr) {
        ::munmap(claim.address, segment_bytes);
        claim.address = nullptr;
      }
    } else {
      close_flight(claim);
    }
  }

  static void close_flight(Claim& claim) {
    for (int& fd : claim.flight) {
      if (fd >= 0) {
        ::close(fd);
        fd = -1;
      }
    }
  }

  /// Lets a process that ends be the last to operate on both semaphores.
  void leave_only_undo(Claim& claim) {
    operate(claim, 1, SEM_UNDO);
    if (!claim.undo) {
      return;
    }
    const pid_t child = ::fork();
    if (child == 0) {
      sembuf operations[2] = {{0, 1, IPC_NOWAIT}, {1, 1, IPC_NOWAIT}};
      ::semop(slot_of(claim).id, operations, 2);
      ::_exit(0);
    }
    if (child > 0) {
      ::waitpid(child, nullptr, 0);
      claim.last = false;
    }
  }

  // Taking over.

  void adopt() {
    const uint32_t count = std::min(world_.slots.load(), slot_count);
    if (count == 0) {
      return;
    }
    const uint32_t from = count > adopted_from ? count - adopted_from : 0;
    const uint32_t index = from + below(count - from);
    Slot& slot = world_.slot[index];
    uint32_t nobody = 0;
    if (slot.state != made || !slot.holder.compare_exchange_strong(nobody, incarnation_)) {
      return;
    }
    Claim claim;
    claim.slot = index;
    claim.token = true;
    claim.adopted = true;
    const auto own = std::find_if(claims_.begin(), claims_.end(),
                                  [&](const Claim& each) { return each.slot == index; });
    if (own != claims_.end()) {  // its creator takes it up again
      own->token = true;
      return;
    }
    if (take(claim)) {
      claim.since = claim.seen = Clock::now();
      claims_.push_back(claim);
      world_.adopted++;
    } else {
      uint8_t expected = made;
      if (!exists(slot)) {
        slot.state.compare_exchange_strong(expected, found_removed);
      }
      slot.holder = 0;
    }
  }

  /// Begins to use an object that may be nobody's. False when it is not this process's afterwards.
  bool take(Claim& claim) {
    Slot& slot = slot_of(claim);
    const std::string path = path_of(slot.kind, slot.name);
    const std::string object = path.substr(path.rfind('/') + 1);
    switch (slot.kind) {
      case Kind::shm: {
        void* address = ::shmat(slot.id, nullptr, 0);
        if (address == reinterpret_cast<void*>(-1)) {  // NOLINT(performance-no-int-to-ptr)
          return false;
        }
        claim.address = address;
        claim.last = true;
        return true;
      }
      case Kind::sem:
        if (below(2) == 0) {
          return block_on_semaphore(claim);
        }
        operate(claim, 1, 0);
        return claim.last;
      case Kind::msg: {
        if (below(2) == 0) {
          return block_on_queue(claim);
        }
        Message message;
        claim.last = ::msgsnd(slot.id, &message, sizeof message.text, IPC_NOWAIT) == 0;
        return claim.last;
      }
      case Kind::posixshm:
        if (below(3) == 0) {
          return take_place(slot);
        }
        claim.fd = ::shm_open(("/" + object).c_str(), O_RDWR, 0);
        return is_inode(claim, slot);
      case Kind::posixsem: {
        sem_t* semaphore = ::sem_open(("/" + object.substr(4)).c_str(), 0);
        claim.address = semaphore == SEM_FAILED ? nullptr : semaphore;
        return claim.address != nullptr;
      }
      case Kind::mq:
        claim.fd = ::mq_open(("/" + object).c_str(), O_RDWR | O_NONBLOCK);
        return is_inode(claim, slot);
      case Kind::socket:
        return take_place(slot);
    }
    return false;
  }

  /// Another object can have the name by now.
  static bool is_inode(Claim& claim, const Slot& slot) {
    struct stat status {};
    if (claim.fd >= 0 && ::fstat(claim.fd, &status) == 0 && status.st_ino == slot.inode) {
      return true;
    }
    if (claim.fd >= 0) {
      ::close(claim.fd);
    }
    return false;
  }

  /// Puts a new object where an abandoned one was, as servers do when they start.
  bool take_place(Slot& old) {
    const std::string path = path_of(old.kind, old.name);
    // Named objects are only ever open in their holder, which is this process now.
    old.state = removed;
    if (::unlink(path.c_str()) == 0) {
      world_.removed_by_workers[static_cast<size_t>(old.kind)]++;
    }
    make_named(old.kind, old.name, true);
    return false;  // the claim, if any, is on the new slot
  }

  /// Waits for what never comes. The wait alone keeps the object alive, and its result says how
  /// long it was there. True when this process operated on it in the end.
  bool block_on_semaphore(Claim& claim) {
    sembuf operation{static_cast<unsigned short>(below(2)), -100, 0};
    const timespec timeout{0, std::chrono::nanoseconds(longest_block).count()};
    const Block block;
    world_.blocked++;
    if (::semtimedop(slot_of(claim).id, &operation, 1, &timeout) == 0) {
      claim.last = true;
      return true;
    }
    judge_block(claim, errno, block);
    return false;
  }

  bool block_on_queue(Claim& claim) {
    struct sigaction wake {};
    wake.sa_handler = [](int) {};
    ::sigaction(SIGALRM, &wake, nullptr);
    // Twice, should the first signal come before the wait.
    const itimerval timer{{0, 50'000}, {0, std::chrono::microseconds(longest_block).count()}};
    const itimerval none{};
    ::setitimer(ITIMER_REAL, &timer, nullptr);
    Message message;
    const Block block;
    world_.blocked++;
    // No message has this type.
    const bool received = ::msgrcv(slot_of(claim).id, &message, sizeof message.text, 1000, 0) >= 0;
    const int error = errno;
    ::setitimer(ITIMER_REAL, &none, nullptr);
    if (!received) {
      judge_block(claim, error, block);
    }
    claim.last = received;
    return received;
  }

  void judge_block(const Claim& claim, int error, const Block& block) {
    world_.checks++;
    if (error == EIDRM) {
      // This process was asleep, so it cannot have seen the object at a later instant.
      blame(claim, "blocked", block.asleep());
    }
  }

  // Leaving.

  /// Ends every use; a creator stays the creator. What it has to undo it cannot give away: the
  /// kernel would take it for the last user when it ends.
  void release(Claim& claim) {
    if (claim.undo && slot_of(claim).state == made) {
      return;
    }
    let_go(claim);
    slot_of(claim).holder = 0;
    claim.token = false;
    claim.last = false;
    forget_unclaimed();
  }

  void let_go(Claim& claim) {
    const Kind kind = slot_of(claim).kind;
    if (claim.address != nullptr) {
      if (kind == Kind::shm) {
        ::shmdt(claim.address);
      } else if (kind == Kind::posixsem) {
        ::sem_close(static_cast<sem_t*>(claim.address));
      } else {
        ::munmap(claim.address, segment_bytes);
      }
      claim.address = nullptr;
    }
    if (claim.fd >= 0) {
      ::close(claim.fd);
      claim.fd = -1;
    }
    close_flight(claim);
  }

  void remove(Claim& claim) {
    Slot& slot = slot_of(claim);
    check(claim);
    slot.state = removed;  // first: other claims must not take it for the cleaner's work
    int result = -1;
    switch (slot.kind) {
      case Kind::shm:
        result = ::shmctl(slot.id, IPC_RMID, nullptr);
        break;
      case Kind::sem:
        result = ::semctl(slot.id, 0, IPC_RMID);
        break;
      case Kind::msg:
        result = ::msgctl(slot.id, IPC_RMID, nullptr);
        break;
      default:
        result = ::unlink(path_of(slot.kind, slot.name).c_str());
        break;
    }
    if (result == 0) {
      world_.removed_by_workers[static_cast<size_t>(slot.kind)]++;
    }
    release(claim);
    forget_unclaimed();
  }

  /// Forks and dies; the child goes on with what it inherits.
  void succeed() {
    Worker& place = world_.workers[number_];
    const pid_t child = ::fork();
    if (child > 0) {
      place.pid = child;
      ::kill(::getpid(), SIGKILL);
    }
    if (child < 0) {
      return;
    }
    while (::getppid() != 1) {
      ::usleep(100);
    }
    if (place.pid != ::getpid()) {
      ::_exit(0);  // the parent was killed before it could hand over
    }
    char link[32] = {};
    if (::readlink("/proc/self", link, sizeof link - 1) > 0) {
      place.host_pid = std::atoi(link);
    }
    world_.successions++;
    for (Claim& claim : claims_) {
      claim.creator = claim.last = claim.undo = false;
      if (claim.token && !is_claim(claim)) {
        slot_of(claim).holder = 0;
        claim.token = false;
      }
    }
    forget_unclaimed();
  }

  // Looking after.

  /// Does this process keep the object alive?
  bool is_claim(const Claim& claim) {
    const bool open = claim.address != nullptr || claim.fd >= 0 || claim.flight[0] >= 0;
    switch (slot_of(claim).kind) {
      case Kind::shm:
        return open || claim.creator || claim.last;
      case Kind::sem:
        return claim.creator || claim.last || claim.undo;
      case Kind::msg:
        return claim.creator || claim.last;
      default:
        return open;
    }
  }

  void forget_unclaimed() {
    claims_.erase(std::remove_if(claims_.begin(), claims_.end(),
                                 [&](const Claim& claim) {
                                   return slot_of(claim).state != made ||
                                          (!claim.token && !is_claim(claim));
                                 }),
                  claims_.end());
  }

  /// Ends a claim to be the last user that the kernel does not share: who looks into a dying
  /// process can be the one that detaches its segments, later than it should be.
  void confirm(Claim& claim) {
    const Slot& slot = slot_of(claim);
    if (!claim.last) {
      return;
    }
    const pid_t own = ::getpid();
    if (slot.kind == Kind::shm) {
      shmid_ds status{};
      claim.last = ::shmctl(slot.id, IPC_STAT, &status) != 0 || status.shm_lpid == own;
    } else if (slot.kind == Kind::sem) {
      const int first = ::semctl(slot.id, 0, GETPID);
      claim.last = first < 0 || first == own || ::semctl(slot.id, 1, GETPID) == own;
    } else if (slot.kind == Kind::msg) {
      msqid_ds status{};
      claim.last = ::msgctl(slot.id, IPC_STAT, &status) != 0 || status.msg_lspid == own ||
                   status.msg_lrpid == own;
    }
  }

  static bool exists(const Slot& slot) {
    switch (slot.kind) {
      case Kind::shm: {
        shmid_ds status{};
        return ::shmctl(slot.id, IPC_STAT, &status) == 0 && (status.shm_perm.mode & SHM_DEST) == 0;
      }
      case Kind::sem: {
        semid_ds status{};
        return ::semctl(slot.id, 0, IPC_STAT, &status) == 0;
      }
      case Kind::msg: {
        msqid_ds status{};
        return ::msgctl(slot.id, IPC_STAT, &status) == 0;
      }
      default:
        return inode_at(path_of(slot.kind, slot.name)) == slot.inode;
    }
  }

  void check_all() {
    for (Claim& claim : claims_) {
      check(claim);
    }
    for (Claim& claim : claims_) {
      if (slot_of(claim).state != made) {
        let_go(claim);
      }
    }
    forget_unclaimed();
  }

  void check(Claim& claim) {
    Slot& slot = slot_of(claim);
    confirm(claim);
    if (slot.state != made || !is_claim(claim)) {
      return;
    }
    world_.checks++;
    if (exists(slot)) {
      claim.seen = Clock::now();
      return;
    }
    // Another worker may have removed it: that is said before it is done.
    uint8_t expected = made;
    if (slot.state.compare_exchange_strong(expected, found_removed)) {
      blame(claim, what(claim), claim.adopted ? claim.seen - claim.since : grace * 2);
    }
  }

  std::string what(const Claim& claim) {
    std::string text;
    const auto say = [&](bool holds, const char* word) {
      if (holds) {
        text += text.empty() ? word : std::string(",") + word;
      }
    };
    say(claim.creator && slot_of(claim).id >= 0, "creator");
    say(claim.last, "last user");
    say(claim.undo, "undo");
    say(claim.address != nullptr, "mapped");
    say(claim.fd >= 0, "open");
    say(claim.flight[0] >= 0, "in flight");
    say(claim.adopted, "adopted");
    return text;
  }

  /// A cleaner has removed what this process kept alive for so long.
  void blame(const Claim& claim, const std::string& how, Clock::duration held) {
    if (held < grace) {
      world_.raced++;
      return;
    }
    const Slot& slot = slot_of(claim);
    world_.live_removed[static_cast<size_t>(slot.kind)]++;
    const uint32_t index = world_.message_count++;
    if (index < world_.messages.size()) {
      std::array<char, 160>& text = world_.messages[index];
      const std::string object =
          slot.id >= 0 ? std::to_string(slot.id) : path_of(slot.kind, slot.name);
      *fmt::format_to_n(text.data(), text.size() - 1, "{} {}, {} of process {}",
                        kind_names[static_cast<size_t>(slot.kind)], object, how,
                        world_.workers[number_].host_pid.load())
           .out = '\0';
    }
  }

  World& world_;
  uint32_t number_;
  uint32_t incarnation_;
  std::mt19937_64 random_;
  std::vector<Claim> claims_;
};

}  // namespace

std::string path_of(Kind kind, uint32_t name) {
  switch (kind) {
    case Kind::posixshm:
      return fmt::format("/dev/shm/ipcscope-test-{:08x}", name);
    case Kind::posixsem:
      return fmt::format("/dev/shm/sem.ipcscope-test-{:08x}", name);
    case Kind::mq:
      return fmt::format("{}/ipcscope-test-{:08x}", queue_directory, name);
    default:
      return fmt::format("{}/{:08x}", socket_directory, name);
  }
}

void work(World& world, uint32_t number, uint32_t incarnation, uint64_t seed) {
  Life(world, number, incarnation, seed).run();
}

}  // namespace ipcscope::world
