// SPDX-License-Identifier: GPL-2.0-or-later
// What leaks --clean does to objects, and that all of it can be undone. Each test has namespaces of
// its own, so that its objects cannot outlive it.
#include "collectors/removal/removal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <mqueue.h>
#include <sched.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <sstream>

#include "collectors/child.h"
#include "tests/live/leases.h"

using namespace ipcscope;
namespace fs = std::filesystem;

namespace {

using Type = Target::Type;
constexpr const char* backups = "/tmp/ipcscope-test-backups";
constexpr const char* sockets = "/tmp/ipcscope-test-sockets";

/// What a test in namespaces of its own finds wrong, a line each.
class Report {
 public:
  explicit Report(int out) : out_(out) {}
  bool check(bool good, const std::string& text) {
    if (!good) {
      write_all(out_, "WRONG: " + text + '\n');
    }
    return good;
  }
  template <typename A, typename B>
  bool same(const A& is, const B& expected, const std::string& text) {
    return check(is == expected, fmt::format("{}: {} instead of {}", text, is, expected));
  }
  void say(const std::string& text) { write_all(out_, text + '\n'); }
  /// A step that everything after it depends on.
  void need(bool good, const std::string& text) {
    if (!good) {
      check(false, fmt::format("{}: {}", text, std::strerror(errno)));
      ::_exit(1);
    }
  }

 private:
  int out_;
};

/// Runs body as a child with its own IPC and mount namespaces, an empty /dev/shm and /tmp in
/// memory.
void in_own_namespaces(const std::function<void(Report&)>& body) {
  const auto output = run_in_child(
      [&](int out) {
        Report report(out);
        report.need(::unshare(CLONE_NEWIPC | CLONE_NEWNS) == 0, "unshare");
        report.need(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, "private");
        report.need(::mount("t", "/dev/shm", "tmpfs", 0, nullptr) == 0, "mount /dev/shm");
        report.need(::mount("t", "/tmp", "tmpfs", 0, "mode=1777") == 0, "mount /tmp");
        fs::create_directory(sockets);
        body(report);
        report.say("END");
      },
      std::chrono::minutes(10));
  REQUIRE(output);
  std::istringstream lines(output->bytes);
  bool ended = false;
  for (std::string line; std::getline(lines, line);) {
    ended |= line == "END";
    if (line.starts_with("WRONG: ")) {
      FAIL_CHECK(line);
    } else if (line != "END") {
      fmt::print("{}\n", line);
    }
  }
  CHECK(output->complete);
  CHECK(ended);
}

const ProcRoot& proc() {
  static const ProcRoot root = *ProcRoot::open();
  return root;
}

// --- objects -----------------------------------------------------------------------------------

union SemaphoreArgument {
  int value;
  semid_ds* status;
  unsigned short* values;
};

/// A process of its own makes what is left behind: its number is not ours.
template <typename Work>
void as_another(Report& report, Work work) {
  const pid_t child = ::fork();
  if (child == 0) {
    work();
    ::_exit(0);
  }
  int status = 0;
  report.need(::waitpid(child, &status, 0) == child && status == 0, "the maker");
}

void make_shm(Report& report, uint32_t key, size_t bytes, unsigned mode, uid_t owner,
              const std::map<size_t, std::string>& content) {
  as_another(report, [&] {
    const int id = ::shmget(static_cast<key_t>(key), bytes, IPC_CREAT | IPC_EXCL | 0600);
    auto* const memory = static_cast<char*>(::shmat(id, nullptr, 0));
    report.need(memory != reinterpret_cast<char*>(-1), "shmat");
    for (const auto& [at, text] : content) {
      std::copy(text.begin(), text.end(), memory + at);
    }
    ::shmdt(memory);
    shmid_ds status{};
    status.shm_perm.uid = owner;
    status.shm_perm.gid = owner;
    status.shm_perm.mode = static_cast<unsigned short>(mode);
    report.need(::shmctl(id, IPC_SET, &status) == 0, "IPC_SET");
  });
}

void make_sem(Report& report, uint32_t key, std::vector<unsigned short> values, unsigned mode,
              uid_t owner) {
  as_another(report, [&] {
    const int id = ::semget(static_cast<key_t>(key), static_cast<int>(values.size()),
                            IPC_CREAT | IPC_EXCL | 0600);
    SemaphoreArgument argument{};
    argument.values = values.data();
    report.need(::semctl(id, 0, SETALL, argument) == 0, "SETALL");
    semid_ds status{};
    status.sem_perm.uid = owner;
    status.sem_perm.gid = owner;
    status.sem_perm.mode = static_cast<unsigned short>(mode);
    argument.status = &status;
    report.need(::semctl(id, 0, IPC_SET, argument) == 0, "IPC_SET");
  });
}

using TypedMessages = std::vector<std::pair<long, std::string>>;

void make_msg(Report& report, uint32_t key, const TypedMessages& messages, unsigned mode,
              uid_t owner, size_t limit) {
  as_another(report, [&] {
    const int id = ::msgget(static_cast<key_t>(key), IPC_CREAT | IPC_EXCL | 0600);
    msqid_ds status{};
    report.need(::msgctl(id, IPC_STAT, &status) == 0, "msgget");
    status.msg_perm.uid = owner;
    status.msg_perm.gid = owner;
    status.msg_perm.mode = static_cast<unsigned short>(mode);
    status.msg_qbytes = limit;
    report.need(::msgctl(id, IPC_SET, &status) == 0, "IPC_SET");
    for (const auto& [type, text] : messages) {
      std::string bytes(sizeof type, '\0');
      std::memcpy(bytes.data(), &type, sizeof type);
      bytes += text;
      report.need(::msgsnd(id, bytes.data(), text.size(), IPC_NOWAIT) == 0, "msgsnd");
    }
  });
}

void make_file(Report& report, const std::string& name, size_t bytes, unsigned mode, uid_t owner,
               const std::map<size_t, std::string>& content) {
  const int file = ::open(("/dev/shm/" + name).c_str(), O_RDWR | O_CREAT | O_EXCL, 0600);
  report.need(file >= 0 && ::ftruncate(file, static_cast<off_t>(bytes)) == 0, name);
  for (const auto& [at, text] : content) {
    report.need(::pwrite(file, text.data(), text.size(), static_cast<off_t>(at)) > 0, name);
  }
  report.need(::fchown(file, owner, owner) == 0 && ::fchmod(file, mode) == 0, name);
  ::close(file);
}

using PriorityMessages = std::vector<std::pair<unsigned, std::string>>;

void make_mq(Report& report, const std::string& name, const PriorityMessages& messages,
             unsigned mode, uid_t owner, long most, long longest) {
  mq_attr attributes{};
  attributes.mq_maxmsg = most;
  attributes.mq_msgsize = longest;
  const mqd_t queue = ::mq_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600, &attributes);
  report.need(queue >= 0, name);
  for (const auto& [priority, text] : messages) {
    report.need(::mq_send(queue, text.data(), text.size(), priority) == 0, name);
  }
  report.need(::fchown(queue, owner, owner) == 0 && ::fchmod(queue, mode) == 0, name);
  ::mq_close(queue);
}

void make_socket(Report& report, const std::string& name, unsigned mode, uid_t owner) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = std::string(sockets) + '/' + name;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  report.need(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0, "bind");
  ::close(fd);
  report.need(::chown(path.c_str(), owner, owner) == 0 && ::chmod(path.c_str(), mode) == 0, path);
}

std::string random_bytes(size_t size, unsigned seed) {
  std::mt19937_64 random(seed);
  std::string bytes(size, '\0');
  for (char& byte : bytes) {
    byte = static_cast<char>(random());
  }
  return bytes;
}

/// One or more of each type, with what could go wrong: odd names and sizes, private keys, empty
/// messages, zeros at the end, sparse content, foreign owners.
void make_world(Report& report) {
  make_shm(report, 0x1001, 10000, 0640, 1000, {{0, random_bytes(10000, 1)}});
  make_shm(report, IPC_PRIVATE, 300000, 0600, 0, {{123456, "in the middle"}});
  make_shm(report, 0x1002, 1, 0, 7, {});
  make_sem(report, 0x2001, {0, 1, 32767, 5}, 0606, 1000);
  make_sem(report, IPC_PRIVATE, std::vector<unsigned short>(300, 7), 0600, 0);
  make_msg(report, 0x3001,
           {{5, "five"}, {1, ""}, {5, random_bytes(8000, 2)}, {77, std::string(3, '\0')}}, 0666,
           1000, 12000);
  make_msg(report, IPC_PRIVATE, {}, 0600, 0, 100);
  make_file(report, "ipcscope-test-plain", 5000, 0600, 0, {{0, random_bytes(5000, 3)}});
  make_file(report, "ipcscope-test-\xff odd\n\"name\\", 1 << 20, 0666, 1000, {{1 << 19, "here"}});
  make_file(report, "ipcscope-test-empty", 0, 0, 7, {});
  make_file(report, "sem.ipcscope-test", 32, 0644, 0, {{0, std::string("\3\0\0\0", 4)}});
  make_mq(report, "/ipcscope-test-full",
          {{1, "low first"},
           {9, "high"},
           {1, "low second"},
           {1, std::string("\0\0", 2)},
           {0, ""},
           {9, random_bytes(100, 4)},
           {1, std::string(100, '\0')},
           {0, "last"}},
          0620, 1000, 8, 100);
  make_mq(report, "/ipcscope-test-empty \xfe", {}, 0, 0, 3, 17);
  make_socket(report, "ipcscope-test-s", 0777, 1000);
}

// --- what is there -----------------------------------------------------------------------------

std::vector<std::vector<long>> sysv_rows(const char* kind) {
  std::ifstream table(fmt::format("/proc/sysvipc/{}", kind));
  std::string line;
  std::getline(table, line);
  std::vector<std::vector<long>> rows;
  while (std::getline(table, line)) {
    std::istringstream words(line);
    rows.emplace_back();
    std::string mode;
    for (size_t i = 0; words >> mode; i++) {
      rows.back().push_back(std::stol(mode, nullptr, i == 2 ? 8 : 10));
    }
  }
  return rows;
}

template <typename Permissions>
void set_owner(Target& target, const Permissions& from) {
  target.key = static_cast<uint32_t>(from.__key);
  target.uid = from.uid;
  target.gid = from.gid;
  target.cuid = from.cuid;
  target.cgid = from.cgid;
  target.mode = from.mode;
}

Target shm_target(int id) {
  shmid_ds status{};
  ::shmctl(id, IPC_STAT, &status);
  Target target;
  target.id = fmt::format("shm:{}", id);
  target.sysv_id = id;
  set_owner(target, status.shm_perm);
  target.creator = status.shm_cpid;
  target.last = status.shm_lpid;
  target.times[0] = status.shm_atime;
  target.times[1] = status.shm_dtime;
  target.times[2] = status.shm_ctime;
  target.bytes = status.shm_segsz;
  return target;
}

Target sem_target(int id) {
  semid_ds status{};
  SemaphoreArgument argument{};
  argument.status = &status;
  ::semctl(id, 0, IPC_STAT, argument);
  Target target;
  target.type = Type::sem;
  target.id = fmt::format("sem:{}", id);
  target.sysv_id = id;
  set_owner(target, status.sem_perm);
  target.times[0] = status.sem_otime;
  target.times[2] = status.sem_ctime;
  target.messages = status.sem_nsems;
  return target;
}

Target msg_target(int id) {
  msqid_ds status{};
  ::msgctl(id, IPC_STAT, &status);
  Target target;
  target.type = Type::msg;
  target.id = fmt::format("msg:{}", id);
  target.sysv_id = id;
  set_owner(target, status.msg_perm);
  target.creator = status.msg_lspid;
  target.last = status.msg_lrpid;
  target.times[0] = status.msg_stime;
  target.times[1] = status.msg_rtime;
  target.times[2] = status.msg_ctime;
  target.bytes = status.__msg_cbytes;
  target.messages = status.msg_qnum;
  return target;
}

Target path_target(Type type, const std::string& path) {
  struct stat status {};
  ::lstat(path.c_str(), &status);
  Target target;
  target.type = type;
  target.path = path;
  target.id = path;
  target.uid = status.st_uid;
  target.gid = status.st_gid;
  target.mode = status.st_mode;
  target.inode = status.st_ino;
  target.device = major(status.st_dev) << 20 | minor(status.st_dev);
  target.times[2] = status.st_ctime;
  target.bytes = type == Type::socket ? 0 : static_cast<uint64_t>(status.st_size);
  return target;
}

/// Where queues have files. Mounted for a moment: a mount shows what is there without opening it.
std::vector<std::string> queue_names() {
  fs::create_directory("/tmp/mq");
  ::mount("mqueue", "/tmp/mq", "mqueue", 0, nullptr);
  std::vector<std::string> names;
  for (const auto& each : fs::directory_iterator("/tmp/mq")) {
    names.push_back('/' + each.path().filename().string());
  }
  ::umount("/tmp/mq");
  return names;
}

Target mq_target(const std::string& name) {
  const mqd_t queue = ::mq_open(name.c_str(), O_RDONLY | O_NONBLOCK);
  struct stat status {};
  ::fstat(queue, &status);
  mq_attr attributes{};
  ::mq_getattr(queue, &attributes);
  char text[128] = {};
  (void)!::pread(queue, text, sizeof text - 1, 0);
  ::mq_close(queue);
  Target target;
  target.type = Type::mq;
  target.id = "mq:" + name;
  target.path = name;
  target.uid = status.st_uid;
  target.gid = status.st_gid;
  target.mode = status.st_mode;
  target.inode = status.st_ino;
  target.device = major(status.st_dev) << 20 | minor(status.st_dev);
  target.messages = static_cast<uint64_t>(attributes.mq_curmsgs);
  target.bytes = std::strtoull(text + std::strlen("QSIZE:"), nullptr, 10);
  return target;
}

std::vector<Target> all_targets() {
  std::vector<Target> targets;
  for (const auto& row : sysv_rows("shm")) {
    targets.push_back(shm_target(static_cast<int>(row[1])));
  }
  for (const auto& row : sysv_rows("sem")) {
    targets.push_back(sem_target(static_cast<int>(row[1])));
  }
  for (const auto& row : sysv_rows("msg")) {
    targets.push_back(msg_target(static_cast<int>(row[1])));
  }
  for (const auto& each : fs::directory_iterator("/dev/shm")) {
    const bool semaphore = each.path().filename().string().starts_with("sem.");
    targets.push_back(
        path_target(semaphore ? Type::posixsem : Type::posixshm, each.path().string()));
  }
  for (const std::string& name : queue_names()) {
    targets.push_back(mq_target(name));
  }
  for (const auto& each : fs::directory_iterator(sockets)) {
    targets.push_back(path_target(Type::socket, each.path().string()));
  }
  return targets;
}

std::string digest(std::string_view bytes) {
  uint64_t sum = 14695981039346656037U;
  for (const char byte : bytes) {
    sum = (sum ^ static_cast<unsigned char>(byte)) * 1099511628211U;
  }
  return fmt::format("{}/{:x}", bytes.size(), sum);
}

std::string shm_content(const Target& target) {
  const auto* const memory = static_cast<const char*>(::shmat(target.sysv_id, nullptr, SHM_RDONLY));
  std::string text = digest({memory, target.bytes});
  ::shmdt(memory);
  return text;
}

std::string sem_content(const Target& target) {
  std::vector<unsigned short> values(target.messages);
  SemaphoreArgument argument{};
  argument.values = values.data();
  ::semctl(target.sysv_id, 0, GETALL, argument);
  return fmt::format("{}", fmt::join(values, ","));
}

std::string msg_content(const Target& target) {
  msqid_ds status{};
  ::msgctl(target.sysv_id, IPC_STAT, &status);
  std::string text = fmt::format("limit {}", status.msg_qbytes);
  std::vector<char> buffer(65536);
  for (long i = 0;; i++) {
    const ssize_t got = ::msgrcv(target.sysv_id, buffer.data(), buffer.size() - sizeof(long), i,
                                 MSG_COPY | IPC_NOWAIT);
    if (got < 0) {
      return text;
    }
    long type = 0;
    std::memcpy(&type, buffer.data(), sizeof type);
    text += fmt::format(" {}:{}", type,
                        digest({buffer.data() + sizeof type, static_cast<size_t>(got)}));
  }
}

/// Takes the messages and sends them again: nobody else is there.
std::string mq_content(const Target& target) {
  const mqd_t queue = ::mq_open(target.path.c_str(), O_RDWR | O_NONBLOCK);
  mq_attr attributes{};
  ::mq_getattr(queue, &attributes);
  std::string text = fmt::format("{}x{}", attributes.mq_maxmsg, attributes.mq_msgsize);
  std::vector<char> buffer(static_cast<size_t>(attributes.mq_msgsize));
  PriorityMessages messages;
  unsigned priority = 0;
  ssize_t got = 0;
  while ((got = ::mq_receive(queue, buffer.data(), buffer.size(), &priority)) >= 0) {
    messages.emplace_back(priority, std::string(buffer.data(), static_cast<size_t>(got)));
    text += fmt::format(" {}:{}", priority, digest(messages.back().second));
  }
  for (const auto& [each, bytes] : messages) {
    ::mq_send(queue, bytes.data(), bytes.size(), each);
  }
  ::mq_close(queue);
  return text;
}

/// Everything in the test's namespaces, bit for bit, without identifiers and times.
std::vector<std::string> describe(const std::vector<Target>& targets) {
  std::vector<std::string> all;
  for (const Target& each : targets) {
    std::string text =
        fmt::format("{} {} key {:x} owner {}:{} mode {:o} size {} ", static_cast<int>(each.type),
                    each.path, each.key, each.uid, each.gid, each.mode, each.bytes);
    switch (each.type) {
      case Type::shm:
        text += shm_content(each);
        break;
      case Type::sem:
        text += sem_content(each);
        break;
      case Type::msg:
        text += msg_content(each);
        break;
      case Type::posixshm:
      case Type::posixsem: {
        std::ifstream file(each.path, std::ios::binary);
        std::stringstream bytes;
        bytes << file.rdbuf();
        text += digest(bytes.str());
        break;
      }
      case Type::mq:
        text += mq_content(each);
        break;
      case Type::socket:
        break;
    }
    all.push_back(text);
  }
  std::sort(all.begin(), all.end());
  return all;
}

std::vector<std::string> describe_all() { return describe(all_targets()); }

std::map<std::string, Outcome> remove_all(Report& report, const std::vector<Target>& targets,
                                          const std::string& backup = backups) {
  std::map<std::string, Outcome> outcomes;
  const auto done =
      remove_objects(targets, {backup}, proc(), [&](size_t index, const Outcome& outcome) {
        const std::string& id = targets[index].id;
        report.check(outcomes.emplace(id, outcome).second, id + " is told twice");
      });
  report.check(done.has_value(), "remove_objects");
  report.same(outcomes.size(), targets.size(), "objects told");
  return outcomes;
}

std::vector<Restored> restore_all(Report& report) {
  std::vector<Restored> all;
  const auto done =
      restore_objects(backups, proc(), [&](const Restored& each) { all.push_back(each); });
  report.check(done.has_value(), "restore_objects: " + (done ? "" : done.error().text()));
  return all;
}

void expect_removed(Report& report, const std::map<std::string, Outcome>& outcomes) {
  for (const auto& [id, outcome] : outcomes) {
    report.check(outcome.state == Outcome::State::removed && outcome.reason.empty(),
                 fmt::format("{} is not removed: {}", id, outcome.reason));
  }
}

void expect_kept(Report& report, const std::map<std::string, Outcome>& outcomes,
                 const std::string& reason) {
  for (const auto& [id, outcome] : outcomes) {
    report.check(outcome.state == Outcome::State::skipped &&
                     outcome.reason.find(reason) != std::string::npos,
                 fmt::format("{}: '{}' instead of '{}'", id, outcome.reason, reason));
  }
}

/// An object that we may not remove, and still could not afterwards.
void expect_refused(Report& report, const Target& target) {
  for (const auto& [id, outcome] : remove_all(report, {target}, "")) {
    report.check(outcome.state == Outcome::State::failed && !outcome.reason.empty(),
                 id + " is not refused");
  }
}

void expect_same(Report& report, const std::vector<std::string>& before) {
  const std::vector<std::string> after = describe_all();
  for (const std::string& each : before) {
    report.check(std::count(before.begin(), before.end(), each) ==
                     std::count(after.begin(), after.end(), each),
                 "lost or changed: " + each);
  }
  for (const std::string& each : after) {
    report.check(std::count(before.begin(), before.end(), each) > 0, "new: " + each);
  }
}

}  // namespace

TEST_CASE("removed objects come back bit for bit", "[kernels]") {
  if (!ipcscope::live::has_queue_leases()) {
    return;
  }
  in_own_namespaces([](Report& report) {
    make_world(report);
    const auto targets = all_targets();
    const auto before = describe(targets);
    // Looking at them is use of them.
    report.same(before.size(), size_t{14}, "objects");
    expect_removed(report, remove_all(report, all_targets()));
    report.same(all_targets().size(), size_t{0}, "objects left");
    for (const Restored& each : restore_all(report)) {
      report.check(each.state == Restored::State::restored && each.reason.empty(),
                   each.id + " is not restored: " + each.reason);
      report.same(each.new_id, each.id, "identifier");
    }
    expect_same(report, before);
    for (const Restored& each : restore_all(report)) {
      report.check(each.state == Restored::State::present, each.id + " is not present");
    }
    expect_same(report, before);
    // Without a backup they are gone, and what is gone is no failure.
    const auto again = all_targets();
    expect_removed(report, remove_all(report, again, ""));
    report.same(all_targets().size(), size_t{0}, "objects left");
    expect_kept(report, remove_all(report, again), "gone already");
  });
}

TEST_CASE("a sparse gigabyte takes neither memory nor disk") {
  in_own_namespaces([](Report& report) {
    constexpr size_t gigabyte = size_t{1} << 30;
    const std::map<size_t, std::string> content = {{0, "a"}, {gigabyte - 3, "end"}};
    make_shm(report, 0x1001, gigabyte, 0600, 0, content);
    make_file(report, "ipcscope-test-sparse", gigabyte, 0600, 0, content);
    const auto used = [](const char* path) {
      struct statvfs status {};
      ::statvfs(path, &status);
      return (status.f_blocks - status.f_bfree) * status.f_frsize;
    };
    const auto segment_pages = [] {
      shm_info info{};
      ::shmctl(0, SHM_INFO, reinterpret_cast<shmid_ds*>(&info));
      return info.shm_rss;
    };
    const auto pages = segment_pages();
    const auto file_bytes = used("/dev/shm");
    const auto backup_bytes = used("/tmp");
    expect_removed(report, remove_all(report, all_targets()));
    report.check(used("/tmp") - backup_bytes < 1 << 20, "the backup takes room");
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    report.check(usage.ru_maxrss < 100 << 10, "the memory of this process");
    for (const Restored& each : restore_all(report)) {
      report.check(each.state == Restored::State::restored, each.id + ": " + each.reason);
    }
    report.same(segment_pages(), pages, "pages of the segment");
    report.same(used("/dev/shm"), file_bytes, "bytes in /dev/shm");
    const int id = ::shmget(0x1001, 0, 0);
    const auto* const memory = static_cast<const char*>(::shmat(id, nullptr, SHM_RDONLY));
    report.check(memory[0] == 'a' && std::memcmp(memory + gigabyte - 3, "end", 3) == 0, "content");
    ::shmdt(memory);
    std::ifstream file("/dev/shm/ipcscope-test-sparse", std::ios::binary);
    file.seekg(gigabyte - 3);
    std::string end(3, '\0');
    file.read(end.data(), 3);
    report.same(end, "end", "content of the file");
  });
}

TEST_CASE("what changed since it was judged stays") {
  in_own_namespaces([](Report& report) {
    make_world(report);
    const auto judged = all_targets();
    const auto before = describe(judged);
    // Each of these facts tells it apart from what was judged.
    for (const auto& change : std::vector<std::function<void(Target&)>>{
             [](Target& each) { each.uid++; },
             [](Target& each) { each.gid++; },
             [](Target& each) { each.mode ^= 0400; },
             [](Target& each) { (each.type == Type::mq ? each.uid : each.cuid)++; },
             [](Target& each) { (each.type <= Type::msg ? each.key : each.device)++; },
             [](Target& each) { (each.type <= Type::msg ? each.cgid : each.gid)++; },
             [](Target& each) {
               if (each.type == Type::mq) {
                 each.inode++;
               } else {
                 each.times[2]--;
               }
             },
             [](Target& each) {
               if (each.type == Type::shm || each.type == Type::msg) {
                 each.creator++;
               } else {
                 each.uid++;
               }
             },
             [](Target& each) {
               if (each.type == Type::posixshm || each.type == Type::posixsem ||
                   each.type == Type::shm) {
                 each.bytes++;
               } else if (each.type == Type::socket) {
                 each.inode++;
               } else {
                 each.messages++;
               }
             },
         }) {
      auto targets = all_targets();
      for (Target& each : targets) {
        change(each);
      }
      expect_kept(report, remove_all(report, targets), " now, it was ");
    }
    auto forced = all_targets();
    for (Target& each : forced) {
      each.allow_used = true;
      if (each.type <= Type::msg) {
        each.key++;
      } else {
        each.inode++;
      }
    }
    expect_kept(report, remove_all(report, forced), " now, it was ");
    expect_same(report, before);
  });
}

/// Uses an object in the way that its type has: attached, mapped, open, or waited for by a child.
void use(Report& report, const Target& target) {
  const char* const path = target.path.c_str();
  switch (target.type) {
    case Type::shm:
      report.need(::shmat(target.sysv_id, nullptr, SHM_RDONLY) != nullptr, target.id);
      break;
    case Type::posixshm: {
      const int file = ::open(path, O_RDONLY);
      report.need(file >= 0, target.id);
      if (target.bytes > 0) {  // a mapping alone
        (void)::mmap(nullptr, target.bytes, PROT_READ, MAP_SHARED, file, 0);
        ::close(file);
      }
      break;
    }
    case Type::posixsem:
      report.need(::open(path, O_RDONLY) >= 0, target.id);
      break;
    case Type::mq:
      report.need(::mq_open(path, O_RDONLY) >= 0, target.id);
      break;
    case Type::sem:
    case Type::msg: {
      int ends[2];
      report.need(::pipe(ends) == 0, "pipe");
      const int value = target.type == Type::sem ? ::semctl(target.sysv_id, 0, GETVAL) : 0;
      const pid_t child = ::fork();
      if (child == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        ::close(ends[1]);
        sembuf operation{0, static_cast<short>(value == 0 ? -1 : 0), 0};
        char buffer[64];
        (void)(target.type == Type::msg ? ::msgrcv(target.sysv_id, buffer, 50, 4711, 0)
                                        : ::semop(target.sysv_id, &operation, 1));
        ::_exit(0);
      }
      ::close(ends[0]);
      const std::string file = fmt::format("/proc/{}/syscall", child);
      // semop() may be either call.
      const std::string wanted =
          fmt::format("{} ", target.type == Type::msg ? SYS_msgrcv : SYS_semop);
      const std::string other = fmt::format("{} ", SYS_semtimedop);
      std::string text;
      while (!text.starts_with(wanted) && !text.starts_with(other)) {
        std::ifstream call(file);
        std::getline(call, text);
        ::usleep(1000);
      }
      break;
    }
    case Type::socket:
      break;  // nobody can be asked about its use: that is part of the judgement
  }
}

TEST_CASE("what is in use stays unless forced") {
  in_own_namespaces([](Report& report) {
    make_world(report);
    for (const Target& each : all_targets()) {
      use(report, each);
    }
    std::vector<Target> targets;
    for (const Target& each : all_targets()) {
      if (each.type != Type::socket) {
        targets.push_back(each);
      }
    }
    const auto outcomes = remove_all(report, targets);
    std::map<Type, std::string> reasons = {
        {Type::shm, "it is attached now"},  {Type::sem, "somebody waits for"},
        {Type::msg, "waits for it"},        {Type::posixshm, "open or mapped"},
        {Type::posixsem, "open or mapped"}, {Type::mq, "somebody has it open"}};
    for (const Target& each : targets) {
      expect_kept(report, {*outcomes.find(each.id)}, reasons[each.type]);
    }
    for (Target& each : targets) {
      each.allow_used = true;
    }
    for (const auto& [id, outcome] : remove_all(report, targets)) {
      report.check(outcome.state == Outcome::State::removed, id + ": " + outcome.reason);
    }
  });
}

TEST_CASE("an opener never gets what is being removed") {
  in_own_namespaces([](Report& report) {
    constexpr const char* path = "/dev/shm/ipcscope-test-raced";
    auto* const nameless = static_cast<volatile int*>(
        ::mmap(nullptr, sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    const pid_t opener = ::fork();
    if (opener == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      for (unsigned turn = 0;; turn++) {
        const int file = ::open(path, O_RDWR);
        struct stat status {};
        if (file >= 0 && ::fstat(file, &status) == 0 && status.st_nlink == 0) {
          *nameless = *nameless + 1;
        }
        ::close(file);
        ::usleep(turn % 64);
      }
    }
    int kept = 0;
    constexpr int rounds = 1000;
    for (int i = 0; i < rounds; i++) {
      if (::access(path, F_OK) != 0) {
        make_file(report, "ipcscope-test-raced", 100, 0600, 0, {{0, "x"}});
      }
      const Target target = path_target(Type::posixshm, path);
      const auto outcomes = remove_all(report, {target}, "");
      const Outcome& outcome = outcomes.begin()->second;
      kept += outcome.state == Outcome::State::skipped ? 1 : 0;
      report.check(outcome.state != Outcome::State::failed, outcome.reason);
    }
    ::kill(opener, SIGKILL);
    ::waitpid(opener, nullptr, 0);
    report.same(+*nameless, 0, "times that the opener had a file without a name");
    report.say(fmt::format("{} rounds, kept in {}", rounds, kept));
  });
}

TEST_CASE("without room for the backup everything stays") {
  in_own_namespaces([](Report& report) {
    make_world(report);
    make_shm(report, 0x1003, 1 << 20, 0600, 0, {{0, random_bytes(1 << 20, 5)}});
    make_file(report, "ipcscope-test-large", 1 << 20, 0600, 0, {{0, random_bytes(1 << 20, 6)}});
    fs::create_directory(backups);
    const auto before = describe_all();
    // Sizes from nearly nothing up; each leaves another object without room.
    for (const int pages : {1, 2, 3, 5, 8, 12, 20, 60, 150, 260, 300}) {
      report.need(
          ::mount("t", backups, "tmpfs", 0, fmt::format("size={}k", 4 * pages).c_str()) == 0,
          "mount");
      std::map<std::string, Outcome> outcomes;
      size_t failures = 0;
      const std::vector<Target> targets = all_targets();
      const auto done =
          remove_objects(targets, {backups}, proc(), [&](size_t index, const Outcome& each) {
            failures += each.state == Outcome::State::failed ? 1 : 0;
            report.check(each.state == Outcome::State::removed ||
                             each.reason.find("no room") != std::string::npos,
                         targets[index].id + ": " + each.reason);
          });
      report.check(failures > 0 || !done, fmt::format("{} pages were enough", pages));
      if (done) {
        // Noting what was restored takes room too.
        report.need(::mount(nullptr, backups, nullptr, MS_REMOUNT, "size=16m") == 0, "remount");
        for (const Restored& each : restore_all(report)) {
          report.check(each.state != Restored::State::failed, each.id + ": " + each.reason);
        }
      }
      expect_same(report, before);
      report.need(::umount2(backups, MNT_DETACH) == 0, "umount");
    }
  });
}

namespace {

/// Kills a clean-up of everything there is at random instants, often the restoration after it too,
/// and then restores: everything has to be as it was.
void survive_kills(Report& report, const std::string& backup, int rounds) {
  const unsigned seed = std::random_device{}();
  report.say(fmt::format("seed {}", seed));
  std::mt19937 random(seed);
  const auto before = describe_all();
  const auto clean = [&] {
    (void)remove_objects(all_targets(), {backup}, proc(), [](size_t, const Outcome&) {});
  };
  const auto restore = [&] { (void)restore_objects(backup, proc(), [](const Restored&) {}); };
  /// How long it took, and whether it was cut off. No limit: it comes to its end.
  const auto killed = [&](const std::function<void()>& work, std::chrono::nanoseconds limit) {
    const auto begin = std::chrono::steady_clock::now();
    const pid_t child = ::fork();
    if (child == 0) {
      work();
      ::_exit(0);
    }
    while (limit.count() > 0 && std::chrono::steady_clock::now() - begin < limit) {
    }
    if (limit.count() > 0) {
      ::kill(child, SIGKILL);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return std::pair(std::chrono::steady_clock::now() - begin, WIFSIGNALED(status));
  };
  const auto clean_time = killed(clean, {}).first;
  const auto restore_time = killed(restore, {}).first;
  int cut = 0;
  int cut_again = 0;
  for (int i = 0; i < rounds; i++) {
    const auto limit = [&](std::chrono::nanoseconds whole) {
      return whole * static_cast<long>(1 + random() % 1100) / 1000;
    };
    cut += killed(clean, limit(clean_time)).second ? 1 : 0;
    const size_t left = all_targets().size();
    while (random() % 2 == 0) {
      cut_again += killed(restore, limit(restore_time)).second ? 1 : 0;
    }
    // Killed before it made a backup, it has done nothing.
    const auto done = restore_objects(backup, proc(), [&](const Restored& each) {
      report.check(each.state != Restored::State::failed,
                   fmt::format("round {}, {}: {}", i, each.id, each.reason));
    });
    const bool whole = describe_all() == before;
    if (!report.check(whole, fmt::format("round {}, {} were left after the kill{}", i, left,
                                         done ? "" : ", " + done.error().text()))) {
      expect_same(report, before);
      break;
    }
    fs::remove_all(backup);
  }
  report.say(
      fmt::format("{} rounds, {} clean-ups and {} restorations cut off", rounds, cut, cut_again));
}

}  // namespace

TEST_CASE("a clean-up and a way back that are killed at any instant lose nothing") {
  in_own_namespaces([](Report& report) {
    make_world(report);
    survive_kills(report, backups, 300);
  });
}

TEST_CASE("a queue that is drained when the kill comes loses no message") {
  // On the disk: the pages of the file that the messages go to are another file system's.
  const std::string backup = fmt::format("/var/tmp/ipcscope-test-{}", ::getpid());
  in_own_namespaces([&backup](Report& report) {
    std::ofstream("/proc/sys/fs/mqueue/msg_max") << 600;
    PriorityMessages messages;
    for (unsigned i = 0; i < 600; i++) {
      // Zeros at the end make a length that the bytes do not tell.
      messages.emplace_back(i * 7 % 3, random_bytes(i % 90, i) + std::string(i % 10, '\0'));
    }
    make_mq(report, "/ipcscope-test-many", messages, 0600, 0, 600, 100);
    survive_kills(report, backup, 200);
  });
  fs::remove_all(backup);
}

TEST_CASE("removals are told to the log") {
  in_own_namespaces([](Report& report) {
    // A /dev of our own with a log in it.
    report.need(::mount("t", "/dev", "tmpfs", 0, nullptr) == 0, "mount");
    fs::create_directory("/dev/shm");
    const int log = ::socket(AF_UNIX, SOCK_DGRAM, 0);
    sockaddr_un address{AF_UNIX, "/dev/log"};
    report.need(::bind(log, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0, "bind");
    make_shm(report, 0x1001, 100, 0600, 1000, {});
    make_file(report, "ipcscope-test-\nodd", 5, 0600, 7, {});
    expect_removed(report, remove_all(report, all_targets()));
    std::vector<std::string> lines;
    char buffer[4096];
    for (ssize_t got = 0; (got = ::recv(log, buffer, sizeof buffer, MSG_DONTWAIT)) >= 0;) {
      lines.emplace_back(buffer, static_cast<size_t>(got));
    }
    report.same(lines.size(), size_t{2}, "lines in the log");
    const std::string directory = fs::directory_iterator(backups)->path().string();
    const auto has = [&](size_t line, const std::string& text) {
      report.check(line < lines.size() && lines[line].find(text) != std::string::npos, text);
    };
    // LOG_AUTHPRIV is 10, LOG_NOTICE 5.
    has(0, "<85>");
    has(0, "removed shm:0 key 0x00001001 of uid 1000 for uid 0, backup " + directory);
    has(1, "removed /dev/shm/ipcscope-test-\\x0aodd of uid 7 for uid 0, backup " + directory);
  });
}

TEST_CASE("objects of other namespaces come back there", "[kernels]") {
  if (!ipcscope::live::has_queue_leases()) {
    return;
  }
  in_own_namespaces([](Report& report) {
    int ready[2];
    int go[2];
    report.need(::pipe(ready) == 0 && ::pipe(go) == 0, "pipe");
    const auto own_inode = [](const char* kind) {
      struct stat status {};
      ::stat(fmt::format("/proc/self/ns/{}", kind).c_str(), &status);
      return static_cast<uint32_t>(status.st_ino);
    };
    const pid_t other = ::fork();
    if (other == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      report.need(::unshare(CLONE_NEWIPC | CLONE_NEWNS) == 0, "unshare");
      report.need(::mount("t", "/dev/shm", "tmpfs", 0, nullptr) == 0, "mount");
      report.need(::mount("t", sockets, "tmpfs", 0, nullptr) == 0, "mount");
      make_world(report);
      const auto before = describe_all();
      std::string bytes;
      const auto put = [&bytes](const auto& value) {
        bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
      };
      // The same layout on both sides: it is the same program.
      for (const Target& each : all_targets()) {
        Target plain = each;
        const size_t id = plain.id.size();
        const size_t path = plain.path.size();
        put(id);
        put(path);
        bytes += plain.id + plain.path;
        put(plain.type);
        put(plain.sysv_id);
        put(plain.key);
        put(plain.uid);
        put(plain.gid);
        put(plain.cuid);
        put(plain.cgid);
        put(plain.mode);
        put(plain.creator);
        put(plain.last);
        put(plain.times);
        put(plain.bytes);
        put(plain.messages);
        put(plain.inode);
        put(plain.device);
      }
      put(own_inode("ipc"));
      put(own_inode("mnt"));
      write_all(ready[1], std::to_string(bytes.size()) + '\n' + bytes);
      char byte = 0;
      (void)!::read(go[0], &byte, 1);
      report.same(all_targets().size(), size_t{0}, "objects left");
      write_all(ready[1], "x");
      (void)!::read(go[0], &byte, 1);
      expect_same(report, before);
      ::_exit(0);
    }
    std::string size;
    char byte = 0;
    while (::read(ready[0], &byte, 1) == 1 && byte != '\n') {
      size += byte;
    }
    report.need(!size.empty(), "the other namespace");
    std::string bytes(std::stoul(size), '\0');
    for (size_t at = 0; at < bytes.size();) {
      const ssize_t got = ::read(ready[0], bytes.data() + at, bytes.size() - at);
      report.need(got > 0, "read");
      at += static_cast<size_t>(got);
    }
    std::string_view left = bytes;
    const auto take = [&left](auto& value) {
      std::memcpy(&value, left.data(), sizeof value);
      left.remove_prefix(sizeof value);
    };
    std::vector<Target> targets;
    while (left.size() > 2 * sizeof(uint32_t)) {
      Target& each = targets.emplace_back();
      size_t id = 0;
      size_t path = 0;
      take(id);
      take(path);
      each.id = left.substr(0, id);
      each.path = left.substr(id, path);
      left.remove_prefix(id + path);
      take(each.type);
      take(each.sysv_id);
      take(each.key);
      take(each.uid);
      take(each.gid);
      take(each.cuid);
      take(each.cgid);
      take(each.mode);
      take(each.creator);
      take(each.last);
      take(each.times);
      take(each.bytes);
      take(each.messages);
      take(each.inode);
      take(each.device);
      each.pids = {999999999, other};  // the first does not live
    }
    uint32_t ipc = 0;
    uint32_t mnt = 0;
    take(ipc);
    take(mnt);
    for (Target& each : targets) {
      const bool in_ipc = each.type <= Type::msg || each.type == Type::mq;
      each.name_space = in_ipc ? ipc : mnt;
    }
    // The same names and keys in our own, which are not to be touched.
    make_world(report);
    const auto own = describe_all();
    expect_removed(report, remove_all(report, targets));
    expect_same(report, own);
    write_all(go[1], "x");
    report.need(::read(ready[0], &byte, 1) == 1, "the other namespace");
    for (const Restored& each : restore_all(report)) {
      report.check(each.state == Restored::State::restored, each.id + ": " + each.reason);
    }
    expect_same(report, own);
    write_all(go[1], "x");
    int status = 0;
    report.need(::waitpid(other, &status, 0) == other && status == 0, "the other namespace");
    // It has ended: what was in it has no place to come back to.
    fs::remove_all(backups);
    for (Target& each : targets) {
      each.pids = {other};
    }
    expect_kept(report, remove_all(report, targets), "it cannot be reached");
  });
}

TEST_CASE("what exists is never overwritten and damage stays in its file") {
  in_own_namespaces([](Report& report) {
    make_world(report);
    const auto before = describe_all();
    expect_removed(report, remove_all(report, all_targets()));
    const fs::path directory = fs::directory_iterator(backups)->path();
    report.check(fs::status(directory).permissions() == fs::perms(0700), "mode of the backup");
    // Others took the names meanwhile.
    make_shm(report, 0x1001, 5, 0600, 0, {});
    make_sem(report, 0x2001, {4}, 0600, 0);
    make_msg(report, 0x3001, {{1, "other"}}, 0600, 0, 100);
    make_file(report, "ipcscope-test-plain", 3, 0600, 0, {{0, "abc"}});
    make_mq(report, "/ipcscope-test-full", {{1, "other"}}, 0600, 0, 2, 10);
    make_socket(report, "ipcscope-test-s", 0700, 0);
    size_t refused = 0;
    for (const Restored& each : restore_all(report)) {
      refused += each.state == Restored::State::failed ? 1 : 0;
      report.check(each.state != Restored::State::failed || each.reason.find("in use by ") != 0 ||
                       each.reason.find("its name now") != std::string::npos,
                   each.reason);
    }
    report.same(refused, size_t{6}, "refused");
    const auto others = describe_all();
    report.same(others.size(), size_t{14}, "objects");
    expect_removed(report, remove_all(report, all_targets(), ""));
    // One file with a bit that fell over, one that is cut off, and a half line at the end.
    {
      std::fstream file(directory / "0001.data", std::ios::in | std::ios::out);
      file.seekp(5000);
      file.put('\x42');
      // That of the plain file, whose number follows from the order of the directory.
      for (const auto& each : fs::directory_iterator(directory)) {
        if (fs::file_size(each) == 5000) {
          fs::resize_file(each.path(), 4000);
        }
      }
      std::ofstream(directory / "manifest.jsonl", std::ios::app) << "{\"event\":\"rem";
    }
    std::ifstream text(directory / "manifest.jsonl");
    std::stringstream manifest;
    manifest << text.rdbuf();
    // As if nothing had been noted since the clean-up.
    std::string head;
    for (std::string line; std::getline(manifest, line);) {
      if (line.find("\"restor") == std::string::npos && line.find("\"made") == std::string::npos) {
        head += line + (line.ends_with("rem") ? "" : "\n");
      }
    }
    std::ofstream(directory / "manifest.jsonl", std::ios::trunc) << head;
    size_t failed = 0;
    for (const Restored& each : restore_all(report)) {
      failed += each.state == Restored::State::failed ? 1 : 0;
    }
    report.same(failed, size_t{2}, "failed");
    report.same(all_targets().size(), before.size() - 2, "objects back");
  });
}

TEST_CASE("an ordinary user removes its own and gets it back") {
  in_own_namespaces([](Report& report) {
    constexpr uid_t user = 1000;
    make_shm(report, 0x1009, 100, 0644, 0, {});
    fs::create_directory("/tmp/mq");
    report.need(::mount("mqueue", "/tmp/mq", "mqueue", 0, nullptr) == 0, "mount");
    report.need(::chmod(sockets, 0777) == 0 && ::chmod("/dev/shm", 01777) == 0, "chmod");
    report.need(::setgid(user) == 0 && ::setuid(user) == 0, "setuid");
    ::prctl(PR_SET_DUMPABLE, 1);  // as a program that this user has started is
    constexpr size_t bytes = 64 << 20;
    make_shm(report, 0x1001, bytes, 0600, user, {{bytes / 2, "half"}, {bytes - 1, "e"}});
    make_shm(report, IPC_PRIVATE, 100, 0600, user, {{0, random_bytes(100, 1)}});
    make_sem(report, 0x2001, {1, 2}, 0600, user);
    make_msg(report, 0x3001, {{3, "three"}}, 0600, user, 100);
    make_file(report, "ipcscope-test-mine", 5000, 0600, user, {{0, random_bytes(5000, 3)}});
    make_mq(report, "/ipcscope-test-mine", {{1, "a"}, {2, "b"}}, 0600, user, 4, 10);
    make_socket(report, "ipcscope-test-mine", 0700, user);
    const auto pages = [] {
      shm_info info{};
      ::shmctl(0, SHM_INFO, reinterpret_cast<shmid_ds*>(&info));
      return info.shm_rss;
    };
    // The segment of root is seen by its content before and after, and not by our removal.
    std::vector<Target> own;
    for (const Target& each : all_targets()) {
      if (each.uid == user) {
        own.push_back(each);
      } else {
        expect_refused(report, each);
      }
    }
    report.same(own.size(), size_t{7}, "objects");
    const auto touched = pages();
    const auto outcomes = remove_all(report, own);
    expect_removed(report, outcomes);
    for (const Restored& each : restore_all(report)) {
      report.check(each.state != Restored::State::failed, each.id + ": " + each.reason);
    }
    report.same(pages(), touched, "pages of the segments");
    std::vector<Target> back;
    for (const Target& each : all_targets()) {
      if (each.uid == user) {
        back.push_back(each);
      }
    }
    // Content is compared last: looking at a hole makes a page of it.
    report.same(back.size(), own.size(), "objects back");
    const int id = ::shmget(0x1001, 0, 0);
    const auto* const memory = static_cast<const char*>(::shmat(id, nullptr, SHM_RDONLY));
    report.check(std::memcmp(memory + bytes / 2, "half", 4) == 0 && memory[bytes - 1] == 'e',
                 "content of the segment");
    ::shmdt(memory);
    for (const Target& each : back) {
      if (each.type == Type::mq) {
        report.same(mq_content(each), fmt::format("4x10 2:{} 1:{}", digest("b"), digest("a")),
                    "messages");
      }
    }
  });
}

TEST_CASE("thousands of objects are removed and come back") {
  in_own_namespaces([](Report& report) {
    as_another(report, [] {
      for (int i = 0; i < 1000; i++) {
        (void)::shmget(IPC_PRIVATE, 4096, 0600);
        (void)::semget(IPC_PRIVATE, 3, 0600);
        (void)::msgget(IPC_PRIVATE, 0600);
      }
    });
    for (int i = 0; i < 500; i++) {
      make_file(report, fmt::format("ipcscope-test-{}", i), 100, 0600, 0, {{0, "x"}});
    }
    const auto before = describe_all();
    const auto begin = std::chrono::steady_clock::now();
    expect_removed(report, remove_all(report, all_targets()));
    const auto middle = std::chrono::steady_clock::now();
    for (const Restored& each : restore_all(report)) {
      report.check(each.state == Restored::State::restored, each.id + ": " + each.reason);
    }
    const auto end = std::chrono::steady_clock::now();
    using Seconds = std::chrono::duration<double>;
    report.say(fmt::format("{} objects: removed in {:.2f} s, restored in {:.2f} s", before.size(),
                           Seconds(middle - begin).count(), Seconds(end - middle).count()));
    expect_same(report, before);
  });
}
