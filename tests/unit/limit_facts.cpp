// SPDX-License-Identifier: GPL-2.0-or-later
// The facts of limits from fake trees.
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>

#include "collectors/limits.h"
#include "collectors/limits/ports.h"
#include "collectors/model/builder.h"
#include "tests/unit/fake_tree.h"

using namespace ipcscope;

namespace {

const LimitFact* find(const LimitFacts& facts, LimitId id,
                      const std::function<bool(const LimitFact&)>& fits = {}) {
  const auto found =
      std::find_if(facts.facts.begin(), facts.facts.end(),
                   [&](const LimitFact& each) { return each.id == id && (!fits || fits(each)); });
  return found != facts.facts.end() ? &*found : nullptr;
}

auto of_user(uint32_t uid) {
  return [uid](const LimitFact& fact) {
    return fact.place.kind == LimitPlace::Kind::user && fact.place.uid == uid;
  };
}

auto named(const std::string& name) {
  return [name](const LimitFact& fact) { return fact.place.name == name; };
}

constexpr const char* limits_text =
    "Limit                     Soft Limit           Hard Limit           Units     \n"
    "Max open files            1024                 4096                 files     \n"
    "Max pending signals       100                  unlimited            signals   \n"
    "Max msgqueue size         5000                 unlimited            bytes     \n";

/// A host on paper: a tree and what was seen of its processes.
class Paper {
 public:
  Paper() { tree.file("sys/fs/file-nr", "700\t0\t1000\n"); }

  /// status has the lines that matter.
  ProcessIndex process(int pid, uint32_t uid, const std::string& status,
                       const std::string& cgroup = "0::/app\n") {
    Process& process = builder.snapshot().processes.emplace_back();
    process.pid = process.ns_pid = pid;
    process.mm = static_cast<uint64_t>(pid);
    process.uid = uid;
    process.fd_count = 5;
    process.thread_count = 2;
    const std::string directory = std::to_string(pid) + "/";
    tree.file(directory + "status", status);
    tree.file(directory + "limits", limits_text);
    tree.file(directory + "cgroup", cgroup);
    return static_cast<ProcessIndex>(builder.snapshot().processes.size() - 1);
  }

  ChannelIndex channel(Kind kind, ProcessIndex process, uint32_t inode = 0) {
    const ChannelIndex index =
        builder.add_channel(kind, std::string(kind_name(kind)) + ":" + std::to_string(next++));
    Endpoint end;
    end.channel = index;
    end.process = process;
    end.inode = inode;
    builder.add_endpoint(end);
    return index;
  }

  LimitFacts collect() {
    snapshot = builder.finish();
    const Result<ProcRoot> proc = ProcRoot::open(tree.path().c_str());
    REQUIRE(proc);
    Result<LimitFacts> facts = collect_limits(snapshot, *proc);
    REQUIRE(facts);
    return std::move(*facts);
  }

  FakeTree tree;
  SnapshotBuilder builder;
  Snapshot snapshot;
  int next = 1;
};

std::string status_of(uint32_t uid, const std::string& more = {}) {
  const std::string id = std::to_string(uid);
  return "Name:\tx\nUid:\t" + id + "\t" + id + "\t" + id + "\t" + id + "\n" + more;
}

}  // namespace

TEST_CASE("limit facts: nothing without /proc", "[limits]") {
  const FakeTree tree;
  const Result<ProcRoot> proc = ProcRoot::open(tree.path().c_str());
  REQUIRE(proc);
  CHECK_FALSE(collect_limits(Snapshot(), *proc));
}

TEST_CASE("limit facts: the host", "[limits]") {
  Paper paper;
  paper.tree.file("sys/fs/nr_open", "1048576\n");
  paper.tree.file("sys/kernel/threads-max", "2000\n");
  paper.tree.file("sys/kernel/pid_max", "32768\n");
  paper.tree.file("loadavg", "0.00 0.01 0.05 2/1234 5678\n");
  const std::string huge = "self/root/sys/kernel/mm/hugepages/hugepages-2048kB/";
  paper.tree.file(huge + "nr_hugepages", "12\n");
  paper.tree.file(huge + "free_hugepages", "5\n");
  paper.tree.file(huge + "resv_hugepages", "2\n");
  paper.tree.file(huge + "surplus_hugepages", "2\n");
  paper.tree.file(huge + "nr_overcommit_hugepages", "3\n");
  paper.process(10, 0, status_of(0));
  const LimitFacts facts = paper.collect();
  const LimitFact* files = find(facts, LimitId::file_max);
  REQUIRE(files != nullptr);
  CHECK(files->used == 700U);
  CHECK(files->limit == 1000U);
  REQUIRE(files->users.size() == 1);
  CHECK(files->users[0].used == 5);
  CHECK(find(facts, LimitId::nr_open)->used == 5U);
  CHECK(find(facts, LimitId::threads_max)->used == 1234U);
  CHECK(find(facts, LimitId::threads_max)->limit == 2000U);
  CHECK(find(facts, LimitId::pid_max)->limit == 32768U);
  const LimitFact* pages = find(facts, LimitId::huge_pages);
  REQUIRE(pages != nullptr);
  CHECK(pages->place.name == "2048kB");
  CHECK(pages->used == 9U);    // 12 - 5, and 2 that are promised
  CHECK(pages->limit == 13U);  // 10 persistent ones and 3 on demand
}

TEST_CASE("limit facts: System V objects by the namespace's own settings", "[limits]") {
  Paper paper;
  paper.tree.file("sys/kernel/shmmni", "4096\n");
  paper.tree.file("sys/kernel/shmall", "18446744073692774399\n");
  paper.tree.file("sys/kernel/shmmax", "18446744073692774399\n");
  paper.tree.file("sys/kernel/sem", "250\t32000\t32\t128\n");
  paper.tree.file("sys/kernel/msgmni", "32000\n");
  paper.tree.file("sys/kernel/msgmnb", "16384\n");
  paper.tree.file("sys/kernel/msgmax", "8192\n");
  paper.tree.file("sysvipc/shm",
                  "key shmid perms size cpid lpid nattch uid gid cuid cgid atime dtime ctime\n"
                  "1 0 600 5000 7 7 1 33 33 33 33 0 0 0\n"
                  "2 1 600 100 7 7 1 33 33 33 33 0 0 0\n"
                  "3 2 600 100 7 7 1 34 34 34 34 0 0 0\n");
  paper.tree.file("sysvipc/sem",
                  "key semid perms nsems uid gid cuid cgid otime ctime\n"
                  "1 0 600 3 33 33 33 33 0 0\n"
                  "2 1 600 4 33 33 33 33 0 0\n");
  paper.tree.file("sysvipc/msg",
                  "key msqid perms cbytes qnum lspid lrpid uid gid cuid cgid stime rtime ctime\n"
                  "1 0 600 8000 2 10 0 33 33 33 33 0 0 0\n"
                  "2 5 600 0 0 0 0 33 33 33 33 0 0 0\n");
  paper.process(10, 33, status_of(33));
  const LimitFacts facts = paper.collect();
  const LimitFact* segments = find(facts, LimitId::shmmni);
  REQUIRE(segments != nullptr);
  CHECK(segments->used == 3U);
  CHECK(segments->limit == 4096U);
  REQUIRE(segments->users.size() == 2);
  CHECK(segments->users[0].uid == 33);
  CHECK(segments->users[0].used == 2);
  const auto page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  CHECK(find(facts, LimitId::shmall)->used == (5000 + page - 1) / page + 2);
  CHECK(find(facts, LimitId::shmmax)->used == 5000U);
  CHECK(find(facts, LimitId::semmni)->used == 2U);
  CHECK(find(facts, LimitId::semmni)->limit == 128U);
  CHECK(find(facts, LimitId::semmns)->used == 7U);
  CHECK(find(facts, LimitId::semmns)->limit == 32000U);
  CHECK(find(facts, LimitId::semmsl)->limit == 250U);
  CHECK(find(facts, LimitId::semopm)->limit == 32U);
  CHECK_FALSE(find(facts, LimitId::semopm)->used);
  CHECK(find(facts, LimitId::semume)->unlimited);
  CHECK(find(facts, LimitId::msgmni)->used == 2U);
  const LimitFact* queue = find(facts, LimitId::msgmnb, named("msg:0"));
  REQUIRE(queue != nullptr);
  CHECK(queue->used == 8000U);
  CHECK_FALSE(queue->limit);  // a fake tree has no system calls
  REQUIRE(queue->users.size() == 1);
  CHECK(queue->users[0].pid == 10);
  CHECK(find(facts, LimitId::msgmnb, named("msg:5")) == nullptr);
}

TEST_CASE("limit facts: no System V", "[limits]") {
  Paper paper;
  const LimitFacts facts = paper.collect();
  CHECK_FALSE(find(facts, LimitId::shmmni)->used);
  CHECK_FALSE(find(facts, LimitId::shmmni)->limit);
  const bool told =
      std::any_of(facts.coverage.begin(), facts.coverage.end(), [](const Coverage& each) {
        return each.source == "limits-ipc" && each.state == Coverage::State::unavailable;
      });
  CHECK(told);
}

TEST_CASE("limit facts: what the kernel counts for users", "[limits]") {
  Paper paper;
  paper.tree.file("sys/fs/pipe-user-pages-soft", "16384\n");
  paper.tree.file("sys/fs/pipe-user-pages-hard", "0\n");
  paper.tree.file("sys/fs/inotify/max_user_instances", "128\n");
  paper.tree.file("sys/fs/inotify/max_user_watches", "1000\n");
  paper.tree.file("sys/user/max_inotify_watches", "900\n");
  paper.tree.file("sys/fs/epoll/max_user_watches", "5000\n");
  // The first may go beyond limits, the second and third may not.
  const ProcessIndex root = paper.process(10, 0, status_of(0, "CapEff:\t000001ffffffffff\n"));
  const ProcessIndex user = paper.process(
      11, 1000, status_of(1000, "SigQ:\t70/100\nSigPnd:\t0000000200000000\nCapEff:\t0\n"));
  paper.process(12, 1000, status_of(1000, "SigQ:\t70/100\nSigPnd:\t0000000000000000\n"));
  const auto page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  for (const auto& [process, uid] : {std::pair(root, 0U), std::pair(user, 1000U)}) {
    for (int i = 0; i < 3; i++) {
      const ChannelIndex pipe = paper.channel(Kind::pipe, process);
      paper.builder.channel(pipe).uid = uid;
      paper.builder.channel(pipe).capacity_bytes = 16 * page;
    }
  }
  for (const uint64_t watches : {10U, 20U}) {
    paper.builder.natural(paper.channel(Kind::inotify, user), "watches", watches);
    paper.builder.natural(paper.channel(Kind::epoll, user), "watches", watches);
  }
  const ChannelIndex queue = paper.channel(Kind::mq, user);
  paper.builder.channel(queue).uid = 1000;
  paper.builder.channel(queue).capacity_messages = 10;
  paper.builder.natural(queue, "message_bytes_max", 100);
  const LimitFacts facts = paper.collect();

  const LimitFact* pages = find(facts, LimitId::pipe_user_pages_soft, of_user(1000));
  REQUIRE(pages != nullptr);
  CHECK(pages->used == 48U);
  CHECK(pages->limit == 16384U);
  CHECK_FALSE(pages->exempt);
  CHECK(find(facts, LimitId::pipe_user_pages_soft, of_user(0))->exempt);
  const LimitFact* hard = find(facts, LimitId::pipe_user_pages_hard, of_user(1000));
  CHECK(hard->unlimited);
  CHECK_FALSE(hard->limit);
  CHECK(find(facts, LimitId::pipe_max_size)->used == 16 * page);
  const LimitFact* watches = find(facts, LimitId::inotify_watches, of_user(1000));
  REQUIRE(watches != nullptr);
  CHECK(watches->used == 30U);
  CHECK(watches->limit == 900U);  // of the own user namespace, which need not be the first
  CHECK(find(facts, LimitId::inotify_instances, of_user(1000))->used == 2U);
  CHECK(find(facts, LimitId::inotify_instances, of_user(1000))->limit == 128U);
  CHECK(find(facts, LimitId::epoll_watches, of_user(1000))->used == 30U);
  const LimitFact* signals = find(facts, LimitId::rlimit_sigpending, of_user(1000));
  REQUIRE(signals != nullptr);
  CHECK(signals->used == 70U);
  CHECK(signals->limit == 100U);
  REQUIRE(signals->users.size() == 1);
  CHECK(signals->users[0].pid == 11);
  const LimitFact* bytes = find(facts, LimitId::rlimit_msgqueue, of_user(1000));
  REQUIRE(bytes != nullptr);
  CHECK(bytes->used == 10U * (100 + 48 + 48));
  CHECK(bytes->limit == 5000U);
  CHECK(bytes->place.pid == 11);
}

TEST_CASE("limit facts: a count of which a part is unknown is unknown", "[limits]") {
  Paper paper;
  paper.tree.file("sys/fs/pipe-user-pages-soft", "16384\n");
  const ProcessIndex user = paper.process(11, 1000, status_of(1000));
  paper.builder.channel(paper.channel(Kind::pipe, user)).uid = 1000;  // of no known size
  const ChannelIndex epoll = paper.channel(Kind::epoll, user);
  paper.builder.unknown(epoll, "watches");
  const ChannelIndex socket = paper.channel(Kind::unix_socket, user);
  paper.builder.text(socket, "type", "dgram");
  paper.builder.unknown(socket, "rx_messages");
  const LimitFacts facts = paper.collect();
  const LimitFact* pages = find(facts, LimitId::pipe_user_pages_soft, of_user(1000));
  REQUIRE(pages != nullptr);
  CHECK_FALSE(pages->used);
  CHECK_FALSE(pages->note.empty());
  CHECK_FALSE(find(facts, LimitId::pipe_max_size)->used);
  CHECK_FALSE(find(facts, LimitId::epoll_watches, of_user(1000))->used);
  CHECK_FALSE(find(facts, LimitId::max_dgram_qlen)->used);
}

TEST_CASE("limit facts: descriptors of processes", "[limits]") {
  Paper paper;
  paper.process(11, 1000, status_of(1000));
  paper.process(12, 1000, status_of(1000));
  paper.builder.snapshot().processes[1].fd_count.reset();
  const ProcessIndex kernel = paper.process(13, 0, status_of(0));
  paper.builder.snapshot().processes[kernel].mm = 0;
  const LimitFacts facts = paper.collect();
  REQUIRE(facts.processes.size() == 2);
  CHECK(facts.processes[0].descriptors == 5U);
  CHECK(facts.processes[0].nofile.soft == 1024U);
  CHECK(facts.processes[0].nofile.hard == 4096U);
  CHECK_FALSE(facts.processes[0].sigpending.hard);  // unlimited
  CHECK_FALSE(facts.processes[1].descriptors);
  CHECK(facts.coverage[0].source == "limits-processes");
  CHECK(facts.coverage[0].state == Coverage::State::partial);
  CHECK(facts.coverage[0].unreadable == 1);
}

TEST_CASE("limit facts: queues of sockets have limits of their own", "[limits]") {
  Paper paper;
  paper.tree.file("sys/net/unix/max_dgram_qlen", "10\n");
  paper.tree.file("sys/net/core/somaxconn", "4096\n");
  const ProcessIndex server = paper.process(11, 1000, status_of(1000));
  const ChannelIndex dgram = paper.channel(Kind::unix_socket, server);
  paper.builder.text(dgram, "type", "dgram");
  paper.builder.natural(dgram, "rx_messages", 9);
  paper.builder.channel(dgram).capacity_messages = 512;  // made under another setting
  const ChannelIndex listener = paper.channel(Kind::tcp, server);
  paper.builder.natural32(listener, "backlog", 4);
  paper.builder.natural32(listener, "backlog_limit", 5);
  const LimitFacts facts = paper.collect();
  const LimitFact* datagrams = find(facts, LimitId::max_dgram_qlen, named("unix:1"));
  REQUIRE(datagrams != nullptr);
  CHECK(datagrams->used == 9U);
  CHECK(datagrams->limit == 512U);
  REQUIRE(datagrams->users.size() == 1);
  CHECK(datagrams->users[0].pid == 11);
  const LimitFact* backlog = find(facts, LimitId::somaxconn, named("tcp:2"));
  REQUIRE(backlog != nullptr);
  CHECK(backlog->used == 4U);
  CHECK(backlog->limit == 5U);
  CHECK(backlog->setting == std::vector<uint64_t>{4096});
}

TEST_CASE("limit facts: ports by where they go", "[limits]") {
  Paper paper;
  paper.tree.file("sys/net/ipv4/ip_local_port_range", "40000 40009\n");
  paper.tree.file("sys/net/ipv4/ip_local_reserved_ports", "22,40008-40100\n");
  paper.tree.file("sys/net/ipv4/tcp_max_tw_buckets", "100\n");
  paper.tree.file("self/net/sockstat",
                  "sockets: used 9\nTCP: inuse 5 orphan 0 tw 2 alloc 6 mem 1\n");
  paper.tree.file("self/net/sockstat6", "TCP6: inuse 1\n");
  const char* heading = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when\n";
  // Three to 127.0.0.1:8080 of which one is in TIME_WAIT, one port twice; one to port 81; a
  // listener; one from outside of the range.
  paper.tree.file("self/net/tcp",
                  std::string(heading) +
                      " 0: 0100007F:9C40 0100007F:1F90 01 0:0 00:0 0 1000 0 501 1\n"
                      " 1: 0100007F:9C41 0100007F:1F90 01 0:0 00:0 0 1000 0 502 1\n"
                      " 2: 0100007F:9C42 0100007F:1F90 06 0:0 00:0 0 0 0 0 3\n"
                      " 3: 0100007F:9C41 0100007F:1F90 06 0:0 00:0 0 0 0 0 3\n"
                      " 4: 0100007F:9C40 0100007F:0051 01 0:0 00:0 0 1000 0 503 1\n"
                      " 5: 0100007F:9C43 00000000:0000 0A 0:0 00:0 0 1000 0 504 1\n"
                      " 6: 0100007F:1F90 0100007F:9C40 01 0:0 00:0 0 1000 0 505 1\n");
  const ProcessIndex client = paper.process(11, 1000, status_of(1000));
  paper.channel(Kind::tcp, client, 501);
  paper.channel(Kind::tcp, client, 502);
  const LimitFacts facts = paper.collect();
  const LimitFact* ports = find(facts, LimitId::ip_local_port_range);
  REQUIRE(ports != nullptr);
  CHECK(ports->used == 3U);
  CHECK(ports->limit == 8U);  // two are reserved
  CHECK_FALSE(ports->at_most);
  CHECK(ports->note == "to 127.0.0.1:8080, 1 of them in TIME_WAIT");
  REQUIRE(ports->users.size() == 1);
  CHECK(ports->users[0].pid == 11);
  CHECK(ports->users[0].used == 2);
  CHECK(find(facts, LimitId::tcp_max_tw_buckets)->used == 2U);
}

TEST_CASE("limit facts: few connections are not looked at one by one", "[limits]") {
  Paper paper;
  paper.tree.file("sys/net/ipv4/ip_local_port_range", "32768 60999\n");
  paper.tree.file("self/net/sockstat", "TCP: inuse 5 orphan 0 tw 2 alloc 6 mem 1\n");
  const LimitFacts facts = paper.collect();
  CHECK(find(facts, LimitId::ip_local_port_range)->used == 7U);
  CHECK(find(facts, LimitId::ip_local_port_range)->at_most);
}

TEST_CASE("limit facts: reserved ports", "[limits]") {
  CHECK(reserved_ports("", 1, 100) == 0);
  CHECK(reserved_ports("\n", 1, 100) == 0);
  CHECK(reserved_ports("5,7-9,90-200,300\n", 1, 100) == 15);
  CHECK(reserved_ports("x,9-7,5-", 1, 100) == 0);
}

TEST_CASE("limit facts: control groups of both versions", "[limits]") {
  Paper paper;
  paper.tree.file("self/mountinfo",
                  "30 20 0:25 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw\n");
  const std::string root = "self/root/sys/fs/cgroup/";
  SECTION("version 2, with a limit above") {
    paper.process(11, 1000, status_of(1000), "0::/app/worker\n");
    paper.process(12, 1000, status_of(1000), "0::/app\n");
    paper.tree.file(root + "app/pids.max", "50\n");
    paper.tree.file(root + "app/pids.current", "48\n");
    paper.tree.file(root + "app/worker/pids.max", "max\n");
    paper.tree.file(root + "app/worker/pids.current", "2\n");
    const LimitFacts facts = paper.collect();
    const LimitFact* group = find(facts, LimitId::cgroup_pids);
    REQUIRE(group != nullptr);
    CHECK(group->place.name == "/app");
    CHECK(group->directory == "/sys/fs/cgroup/app");
    CHECK(group->used == 48U);
    CHECK(group->limit == 50U);
    CHECK(group->users.size() == 2);  // also those of the group below
    CHECK(find(facts, LimitId::cgroup_pids, named("/app/worker")) == nullptr);
  }
  SECTION("version 1 has a hierarchy of its own") {
    paper.tree.file("self/mountinfo",
                    "30 20 0:25 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
                    "31 20 0:26 /pod /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n");
    paper.process(11, 1000, status_of(1000), "8:cpu,pids:/pod/app\n0::/other\n");
    paper.tree.file(root + "pids/app/pids.max", "9\n");
    paper.tree.file(root + "pids/app/pids.current", "3\n");
    const LimitFacts facts = paper.collect();
    const LimitFact* group = find(facts, LimitId::cgroup_pids);
    REQUIRE(group != nullptr);
    CHECK(group->place.name == "/pod/app");
    CHECK(group->directory == "/sys/fs/cgroup/pids/app");
    CHECK(group->limit == 9U);
  }
}
