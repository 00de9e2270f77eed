// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/proc/proc_source.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <map>
#include <memory>

#include "bpf/anon.h"
#include "bpf/filelock.h"
#include "bpf/pipe.h"
#include "bpf/shmem.h"
#include "bpf/socket.h"
#include "bpf/thread.h"
#include "collectors/base/fd.h"

using namespace ipcscope;

namespace {

/// Keeps every record.
struct Records {
  std::vector<std::vector<std::byte>> all;
  std::vector<Coverage> coverage;

  RecordSink sink() {
    return [this](const record& fact) {
      const auto* begin = reinterpret_cast<const std::byte*>(&fact);
      all.emplace_back(begin, begin + fact.size);
    };
  }
  template <typename T>
  std::vector<T> of(record_kind kind, uint32_t pid) const {
    std::vector<T> found;
    for (const auto& bytes : all) {
      record head{};
      std::memcpy(&head, bytes.data(), sizeof head);
      if (head.kind == kind && head.pid == pid) {
        REQUIRE(bytes.size() == sizeof(T));
        std::memcpy(&found.emplace_back(), bytes.data(), sizeof(T));
      }
    }
    return found;
  }
  [[nodiscard]] const Coverage& about(std::string_view source) const {
    for (const Coverage& each : coverage) {
      if (each.source == source) {
        return each;
      }
    }
    FAIL("no coverage of " << source);
    return coverage.front();
  }
};

Records walk(const char* root, const Request& request = {}) {
  auto proc = ProcRoot::open(root);
  REQUIRE(proc);
  Records records;
  REQUIRE(ProcSource(*proc).walk(request, records.sink(), records.coverage));
  return records;
}

}  // namespace

TEST_CASE("walk of a fake tree: threads", "[proc]") {
  const Records records = walk(IPCSCOPE_TEST_DATA "/proc-tree");
  const auto threads = records.of<thread_record>(RECORD_THREAD, 100);
  REQUIRE(threads.size() == 2);
  CHECK(threads[0].tid == 100);
  CHECK(std::string_view(threads[0].comm) == "a) (b\n");
  CHECK(threads[0].state == 'S');
  CHECK(threads[0].syscall == 0);
  CHECK(threads[0].args[0] == 3);
  CHECK(threads[0].uid == 1000);
  CHECK(threads[0].start_ns == 12345ULL * 1000000000U / static_cast<u64>(::sysconf(_SC_CLK_TCK)));
  CHECK(threads[0].switches == 67);
  CHECK(threads[0].blocked_ns == UNKNOWN_U64);  // another machine's clock
  CHECK(threads[0].net_ns == 4026531833U);
  CHECK(threads[1].tid == 101);
  CHECK(threads[1].syscall == -1);
  CHECK(threads[1].mm == threads[0].mm);
  const auto child = records.of<thread_record>(RECORD_THREAD, 200);
  REQUIRE(child.size() == 1);
  CHECK(child[0].ns_pid == 7);
  CHECK(child[0].syscall == 61);
  const auto kernel = records.of<thread_record>(RECORD_THREAD, 300);
  REQUIRE(kernel.size() == 1);
  CHECK(kernel[0].mm == 0);
  CHECK(kernel[0].syscall == -1);
  CHECK(records.of<thread_record>(RECORD_THREAD, 400).empty());
  CHECK(records.about("proc-task").state == Coverage::State::full);
}

TEST_CASE("walk of a fake tree: descriptors", "[proc]") {
  const Records records = walk(IPCSCOPE_TEST_DATA "/proc-tree");
  const auto reader = records.of<pipe_record>(RECORD_PIPE, 100);
  const auto writer = records.of<pipe_record>(RECORD_PIPE, 200);
  REQUIRE(reader.size() == 1);
  REQUIRE(writer.size() == 1);
  CHECK(reader[0].file.object == writer[0].file.object);
  CHECK(reader[0].file.file != writer[0].file.file);
  CHECK(reader[0].file.inode == 11072);
  CHECK(reader[0].file.flags == 0);
  CHECK(writer[0].file.flags == 1);
  CHECK(reader[0].bytes == UNKNOWN_U64);

  const auto first = records.of<unix_record>(RECORD_UNIX, 100);
  REQUIRE(first.size() == 1);
  CHECK(first[0].file.inode == 5001);
  CHECK(first[0].fds_in_flight == 2);
  CHECK(first[0].state == 1);
  CHECK(std::string_view(first[0].name, first[0].name_length) == "/run/x y");
  const auto unseen = records.of<unix_record>(RECORD_UNIX, 0);
  REQUIRE(unseen.size() == 1);
  CHECK(unseen[0].file.fd == -1);
  CHECK(unseen[0].state == 10);
  CHECK(records.of<inet_record>(RECORD_INET, 0).size() == 1);

  const auto event = records.of<eventfd_record>(RECORD_EVENTFD, 100);
  const auto same = records.of<eventfd_record>(RECORD_EVENTFD, 200);
  REQUIRE(event.size() == 1);
  REQUIRE(same.size() == 1);
  CHECK(event[0].count == 31);
  CHECK(event[0].file.object == same[0].file.object);
  CHECK(records.of<epoll_record>(RECORD_EPOLL, 100).size() == 1);
  const auto items = records.of<epoll_item_record>(RECORD_EPOLL_ITEM, 100);
  REQUIRE(items.size() == 2);
  CHECK(items[0].fd == 3);

  const auto count = records.of<fd_count_record>(RECORD_FD_COUNT, 100);
  REQUIRE(count.size() == 1);
  CHECK(count[0].count == 7);
  CHECK(records.about("proc-fd").unreadable == 1);  // the one on a mount that nobody knows
}

TEST_CASE("walk of a fake tree: locks, on a file that must not be touched too", "[proc]") {
  const Records records = walk(IPCSCOPE_TEST_DATA "/proc-tree");
  const auto lock = records.of<lock_record>(RECORD_LOCK, 100);
  REQUIRE(lock.size() == 1);
  CHECK(lock[0].flavour == LOCK_FLOCK);
  CHECK(lock[0].waiters == 1);
  CHECK(lock[0].file.fd == 7);
  CHECK(lock[0].file.mode == UNKNOWN_U32);
  CHECK(records.of<file_record>(RECORD_FILE, 100).size() == 1);
  const auto unseen = records.of<lock_record>(RECORD_LOCK, 900);
  REQUIRE(unseen.size() == 1);
  CHECK(unseen[0].file.fd == -1);
  CHECK(unseen[0].flavour == LOCK_POSIX);
  CHECK(unseen[0].end == 19);
}

TEST_CASE("walk of a fake tree: only one process and its peers", "[proc]") {
  Request request;
  request.pids = {200};
  const Records records = walk(IPCSCOPE_TEST_DATA "/proc-tree", request);
  CHECK(records.of<pipe_record>(RECORD_PIPE, 100).size() == 1);
  CHECK(records.of<eventfd_record>(RECORD_EVENTFD, 100).size() == 1);
  CHECK(records.of<epoll_record>(RECORD_EPOLL, 100).empty());
  CHECK(records.of<thread_record>(RECORD_THREAD, 100).size() == 2);
}

TEST_CASE("mappings of a fake tree", "[proc]") {
  auto proc = ProcRoot::open(IPCSCOPE_TEST_DATA "/proc-tree");
  REQUIRE(proc);
  Records records;
  ProcSource source(*proc);
  REQUIRE(source.mappings({}, records.sink(), records.coverage));
  const auto maps = records.of<mapping_record>(RECORD_MAPPING, 100);
  REQUIRE(maps.size() == 2);
  CHECK(maps[0].flags == (MAPPING_READ | MAPPING_WRITE | MAPPING_SHARED));
  CHECK(maps[0].offset == 0x1000);
  CHECK(maps[0].facts.magic == 0x01021994);
  CHECK(std::string_view(maps[0].facts.name, maps[0].facts.name_length) == "abc");
  CHECK(std::string_view(maps[1].facts.name, maps[1].facts.name_length) == "zero");
  CHECK(maps[1].facts.links == 0);
}

TEST_CASE("walk of the real /proc: what this process has", "[proc]") {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC | O_DIRECT) == 0);
  const Fd reader(ends[0]);
  const Fd writer(ends[1]);
  int pair[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
  const Fd left(pair[0]);
  const Fd right(pair[1]);
  REQUIRE(::write(right.get(), "abcde", 5) == 5);
  const Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
  const Fd other_epoll(::epoll_create1(EPOLL_CLOEXEC));
  epoll_event event{};
  event.events = EPOLLIN;
  REQUIRE(::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, left.get(), &event) == 0);
  const Fd memory(::memfd_create("two words", MFD_CLOEXEC));
  REQUIRE(::ftruncate(memory.get(), 8192) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::pause();
    ::_exit(0);
  }
  Request request;
  request.pids = {::getpid()};
  const auto self = static_cast<uint32_t>(::getpid());
  const Records records = walk("/proc", request);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);

  std::map<int, pipe_record> pipes;
  for (const auto& each : records.of<pipe_record>(RECORD_PIPE, self)) {
    pipes[each.file.fd] = each;
  }
  REQUIRE(pipes.count(reader.get()) == 1);
  REQUIRE(pipes.count(writer.get()) == 1);
  struct stat status {};
  REQUIRE(::fstat(reader.get(), &status) == 0);
  CHECK(pipes[reader.get()].file.inode == status.st_ino);
  CHECK(pipes[reader.get()].file.object == pipes[writer.get()].file.object);
  CHECK(pipes[reader.get()].file.mode == status.st_mode);
  CHECK((pipes[writer.get()].file.flags & O_ACCMODE) == O_WRONLY);
  CHECK((pipes[writer.get()].file.flags & O_DIRECT) != 0);
  CHECK(pipes[reader.get()].file.uid == ::geteuid());

  std::map<int, unix_record> sockets;
  for (const auto& each : records.of<unix_record>(RECORD_UNIX, self)) {
    sockets[each.file.fd] = each;
  }
  REQUIRE(sockets.count(left.get()) == 1);
  REQUIRE(sockets.count(right.get()) == 1);
  CHECK(sockets[left.get()].type == SOCK_STREAM);
  if (sockets[left.get()].peer_inode != UNKNOWN_U64) {  // a kernel with unix_diag
    CHECK(sockets[left.get()].peer == sockets[right.get()].file.object);
    CHECK(sockets[right.get()].peer == sockets[left.get()].file.object);
    CHECK(sockets[left.get()].rx_bytes == 5);
    CHECK(sockets[right.get()].rx_bytes == 0);
    CHECK(sockets[right.get()].wmem > 5);
  }

  std::map<int, epoll_record> epolls;
  for (const auto& each : records.of<epoll_record>(RECORD_EPOLL, self)) {
    epolls[each.file.fd] = each;
  }
  REQUIRE(epolls.count(epoll.get()) == 1);
  REQUIRE(epolls.count(other_epoll.get()) == 1);
  CHECK(epolls[epoll.get()].items == 1);
  CHECK(epolls[epoll.get()].file.file != epolls[other_epoll.get()].file.file);
  std::map<int, epoll_record> inherited;
  for (const auto& each : records.of<epoll_record>(RECORD_EPOLL, static_cast<uint32_t>(child))) {
    inherited[each.file.fd] = each;
  }
  REQUIRE(inherited.count(epoll.get()) == 1);
  if (records.about("proc-fd").reason.find("kcmp") == std::string::npos) {
    CHECK(inherited[epoll.get()].file.file == epolls[epoll.get()].file.file);
    CHECK(inherited[other_epoll.get()].file.file == epolls[other_epoll.get()].file.file);
  }
  bool found = false;
  for (const auto& item : records.of<epoll_item_record>(RECORD_EPOLL_ITEM, self)) {
    if (item.epoll == epolls[epoll.get()].file.file) {
      CHECK(item.target == sockets[left.get()].file.file);
      found = true;
    }
  }
  CHECK(found);

  found = false;
  for (const auto& each : records.of<shmem_record>(RECORD_SHMEM, self)) {
    if (each.file.fd == memory.get()) {
      found = true;
      CHECK(std::string_view(each.facts.name, each.facts.name_length) == "memfd:two words");
      CHECK(each.facts.bytes == 8192);
      CHECK(each.facts.links == 0);
    }
  }
  CHECK(found);

  const auto threads = records.of<thread_record>(RECORD_THREAD, static_cast<uint32_t>(child));
  REQUIRE(threads.size() == 1);
  CHECK(threads[0].ppid == self);
}
