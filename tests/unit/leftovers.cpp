// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/leftovers.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <string_view>

#include "collectors/leftovers/bound_sockets.h"
#include "collectors/leftovers/instances.h"
#include "collectors/leftovers/lock_file.h"
#include "collectors/leftovers/mount_points.h"
#include "collectors/leftovers/path_facts.h"
#include "collectors/leftovers/path_walk.h"
#include "collectors/leftovers/pid_facts.h"
#include "collectors/leftovers/unseen.h"
#include "collectors/model/builder.h"
#include "tests/unit/fake_tree.h"

using namespace ipcscope;

namespace {

Process& add_process(Snapshot& snapshot, int pid, const char* comm) {
  Process& process = snapshot.processes.emplace_back();
  process.pid = process.ns_pid = pid;
  process.mm = static_cast<uint64_t>(pid);
  process.fd_count = 3;
  std::string_view(comm).copy(process.comm, sizeof process.comm);
  return process;
}

const Instance* instance(const Leftovers& leftovers, std::string_view name) {
  const auto found = std::find_if(leftovers.instances.begin(), leftovers.instances.end(),
                                  [&](const Instance& each) { return each.name == name; });
  return found == leftovers.instances.end() ? nullptr : &*found;
}

constexpr const char* postmaster_text =
    "4711\n/var/lib/postgresql/15/main\n1700000000\n5432\n/var/run/postgresql\nlocalhost\n"
    "  5432001      65538\nready   \n";

}  // namespace

TEST_CASE("postmaster.pid", "[leftovers]") {
  const auto file = parse_postmaster(postmaster_text);
  REQUIRE(file);
  CHECK(file->pid == 4711);
  CHECK(file->directory == "/var/lib/postgresql/15/main");
  CHECK(file->key == 5432001U);
  CHECK(file->shm_id == 65538);
  // A server that is starting, a backend that runs alone, and what is none.
  const auto starting = parse_postmaster("12\n/data\n");
  REQUIRE(starting);
  CHECK(starting->directory == "/data");
  CHECK_FALSE(starting->key);
  CHECK(parse_postmaster("-12\n/data\n")->pid == 12);
  CHECK_FALSE(parse_postmaster(""));
  CHECK_FALSE(parse_postmaster("0\n/data\n"));
  CHECK_FALSE(parse_postmaster("text\n"));
  CHECK_FALSE(parse_postmaster("1\n/d\n\n\n\n\n 99999999999 1\n")->key);
}

TEST_CASE("oratab and sapservices", "[leftovers]") {
  const std::vector<std::string> sids = {"ORCL", "+ASM"};
  CHECK(parse_oratab("# comment\n\nORCL:/u01/app/oracle:Y\n*:/u01:N\n+ASM:/grid:N # x\nno colon\n"
                     ":/empty:N\n") == sids);
  const std::vector<std::string> names = {"NPL_ASCS01", "NPL_D00"};
  CHECK(
      parse_sapservices("#!/bin/sh\nLD_LIBRARY_PATH=/usr/sap/NPL/ASCS01/exe;export LD_LIBRARY_PATH;"
                        "/usr/sap/NPL/ASCS01/exe/sapstartsrv "
                        "pf=/usr/sap/NPL/SYS/profile/NPL_ASCS01_vhcalnplci -D -u npladm\n"
                        "systemctl --no-ask-password start SAPNPL_00 # sapstartsrv "
                        "pf=/usr/sap/NPL/SYS/profile/NPL_D00_vhcalnplci\n"
                        "again pf=NPL_D00_other\n") == names);
  CHECK(sap_instance("pf=").empty());
  CHECK(sap_instance("pf=/a/SID_D00").empty());
  CHECK(sap_instance("/a/SID_D00_h").empty());
}

TEST_CASE("lock files", "[leftovers]") {
  for (const char* name : {"x.pid", "x.lock", ".X0-lock", "LCK..ttyS0", ".s.PGSQL.5432.lock"}) {
    CHECK(is_lock_file_name(name));
  }
  for (const char* name : {"x.pid2", "lock", "X0-lock", "LCK.ttyS0", ""}) {
    CHECK_FALSE(is_lock_file_name(name));
  }
  CHECK(parse_lock_pid("4711\n") == 4711);
  CHECK(parse_lock_pid("      4711\n/data\n") == 4711);
  CHECK(parse_lock_pid(std::string_view("4711\0\0", 6)) == 4711);
  CHECK(parse_lock_pid("4711") == 4711);
  for (const char* text : {"", "\n", "-5\n", "0\n", "4194305\n", "# by hand\n12\n", "12x\n",
                           "99999999999999999999\n"}) {
    CAPTURE(text);
    CHECK(parse_lock_pid(text) == 0);
  }
}

TEST_CASE("mount points", "[leftovers]") {
  CHECK(unescape_mount_path("/a\\040b\\134\\011") == "/a b\\\t");
  CHECK(unescape_mount_path("\\04") == "\\04");
  CHECK(unescape_mount_path("\\999") == "\\999");
  const MountPoints mounts(
      "1 0 254:0 / / rw - ext4 /dev/vda rw\n"
      "2 1 0:30 / /run rw - tmpfs tmpfs rw\n"
      "3 1 0:31 / /var rw - nfs4 server:/ rw\n"
      "4 3 0:32 / /var/lib rw - overlay overlay rw\n"
      "5 2 0:33 / /run/user/1000/doc rw - fuse.portal portal rw\n"
      "6 2 0:4 net:[4026532300] /run/netns/a\\040b rw - nsfs nsfs rw\n"
      "7 2 0:4 mnt:[4026532301] /run/snapd/ns/x.mnt rw - nsfs nsfs rw\n"
      "8 1 0:34 / /tmp rw - tmpfs tmpfs rw\n9 8 0:35 / /tmp rw - autofs auto rw\nbroken\n");
  REQUIRE(mounts.at("/run") != nullptr);
  CHECK(mounts.at("/run")->device == 30U);
  CHECK_FALSE(mounts.at("/tmp")->local);
  CHECK_FALSE(mounts.at("/run/user/1000/doc")->local);
  CHECK(mounts.at("/run/user") == nullptr);
  CHECK(mounts.holder("/run/x/y", false)->device == 30U);
  CHECK(mounts.holder("/runner", false)->device == 254U << 20);
  CHECK(mounts.holder("/", false)->device == 254U << 20);
  CHECK(mounts.holder("/tmp", true) == nullptr);
  CHECK(mounts.holder("/var/tmp", true) == nullptr);
  // The way there leads over a server: our own paths do so anyway, others' are left alone.
  CHECK(mounts.holder("/var/lib", false) == nullptr);
  REQUIRE(mounts.holder("/var/lib", true) != nullptr);
  CHECK(mounts.holder("/var/lib", true)->odd_numbers);
  CHECK(mounts.network_name_spaces() == std::vector<std::string>{"/run/netns/a b"});
  CHECK(MountPoints("").holder("/run", true) == nullptr);
}

TEST_CASE("bound sockets", "[leftovers]") {
  BoundSockets sockets;
  sockets.add(1, "/run/a", std::pair(7U, 100U));
  sockets.add(2, "relative", std::pair(7U, 101U));
  sockets.add(3, "@abstract", std::nullopt);

  SECTION("by device and inode, whatever they are called") {
    CHECK(sockets.is_bound("/run/a", 7, 100, false) == true);
    CHECK(sockets.is_bound("/run/renamed", 7, 101, false) == true);
    CHECK(sockets.is_bound("/run/renamed", 7, 101 + (uint64_t{1} << 32), false) == true);
    CHECK(sockets.is_bound("/run/a", 8, 100, false) == false);
    CHECK(sockets.is_bound("/run/b", 7, 102, false) == false);
  }
  SECTION("on file systems with numbers of their own") {
    CHECK(sockets.is_bound("/run/a", 9, 1, true) == true);
    CHECK(sockets.is_bound("/elsewhere/a", 9, 1, true) == std::nullopt);
    CHECK(sockets.is_bound("/run/b", 9, 101, true) == true);
    CHECK(sockets.is_bound("/run/b", 9, 1, true) == false);
  }
  SECTION("of which only the name is known") {
    sockets.add(4, "../run/b", std::nullopt);
    CHECK(sockets.is_bound("/run/b", 7, 102, false) == std::nullopt);
    CHECK(sockets.is_bound("/run/c", 7, 103, false) == false);
    sockets.add(1, "/run/c", std::nullopt);  // the table of a process says it again
    CHECK(sockets.is_bound("/run/c", 7, 103, false) == false);
  }
  SECTION("when a namespace could not be read") {
    sockets.set_incomplete();
    CHECK(sockets.is_bound("/run/b", 7, 102, false) == std::nullopt);
    CHECK(sockets.is_bound("/run/a", 8, 1, false) == true);
  }
}

TEST_CASE("walk for paths", "[leftovers]") {
  const FakeTree tree;
  tree.file("run/x.pid", "4711\n");
  tree.file("run/a/b/y.lock", "  12\n");
  tree.file("run/empty.lock", "");
  tree.file("run/Cargo.lock", "# generated\nversion = 3\n");
  tree.file("run/notes", "99\n");
  tree.file("run/remote/z.pid", "13\n");
  tree.file("elsewhere/w.pid", "14\n");
  tree.link("run/link", "../elsewhere");
  tree.link("run/linked.pid", "../elsewhere/w.pid");
  tree.link("var/run", "../run");
  tree.file("var/lib/docker/overlay2/x.pid", "15\n");
  tree.file("run/1/2/3/4/5/6/deep.pid", "16\n");
  tree.file("run/1/2/3/4/5/6/7/deeper.pid", "17\n");
  REQUIRE(::mkfifo((tree.path() + "/run/f").c_str(), 0640) == 0);
  const Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  (tree.path() + "/run/s").copy(address.sun_path, sizeof address.sun_path - 1);
  REQUIRE(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);

  const Fd root(::open(tree.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  const MountPoints mounts(
      "1 0 254:0 / / rw - ext4 /dev/vda rw\n"
      "2 1 0:33 / /run/remote rw - nfs4 server:/ rw\n");
  const auto paths = [](PathWalk& walk) {
    std::vector<std::string> all;
    for (const FoundPath& each : walk.found()) {
      all.push_back(each.fact.path);
    }
    std::sort(all.begin(), all.end());
    return all;
  };

  SECTION("finds what lies there, once") {
    PathWalk walk;
    walk.walk(root, mounts, 0);
    walk.walk(root, mounts, 4026531999U);
    const std::vector<std::string> expected = {"/run/1/2/3/4/5/6/deep.pid", "/run/a/b/y.lock",
                                               "/run/f", "/run/s", "/run/x.pid"};
    CHECK(paths(walk) == expected);
    for (const FoundPath& each : walk.found()) {
      struct stat status {};
      REQUIRE(::lstat((tree.path() + each.fact.path).c_str(), &status) == 0);
      CHECK(each.fact.inode == status.st_ino);
      CHECK(each.fact.mode == status.st_mode);
      CHECK(each.fact.uid == ::geteuid());
      CHECK(each.fact.change_time >= status.st_mtim.tv_sec);
      CHECK(each.fact.name_space == 0);
      const bool is_fifo = each.fact.path == "/run/f";
      CHECK((each.fact.type == PathFact::Type::fifo) == is_fifo);
      if (each.fact.path == "/run/a/b/y.lock") {
        CHECK(each.fact.pid == 12);
      }
    }
    CHECK(walk.coverage().state == Coverage::State::full);
    CHECK(walk.coverage().reason == "1 directory below 6 levels is not searched");
  }
  SECTION("stops at its limit and says so") {
    PathWalk::Limits limits;
    limits.entries = 4;
    PathWalk walk(limits);
    walk.walk(root, mounts, 0);
    CHECK(walk.coverage().checked == 4);
    CHECK(walk.coverage().state == Coverage::State::partial);
    CHECK(walk.coverage().lost > 0);
    CHECK(walk.coverage().reason.starts_with("only 4 directory entries"));
  }
  SECTION("leaves a remote root of others alone") {
    const MountPoints remote("1 0 0:33 / / rw - nfs4 server:/ rw\n");
    PathWalk walk;
    walk.walk(root, remote, 1);
    walk.walk(root, remote, 0);
    CHECK(walk.found().empty());
  }
}

TEST_CASE("whether a path is used", "[leftovers]") {
  SnapshotBuilder builder;
  const ChannelIndex fifo = builder.add_channel(Kind::fifo, "fifo:/run/f", "/run/f");
  builder.natural(fifo, "inode", 5);
  const ChannelIndex lock = builder.add_channel(Kind::flock, "flock:/run/l", "/run/l");
  builder.natural(lock, "inode", 6);
  builder.text(lock, "device", "254:0");
  const Snapshot snapshot = builder.finish();
  const UsedFiles files(snapshot);
  BoundSockets sockets;
  Leftovers leftovers;
  LockTable locks;
  locks.load("1: POSIX  ADVISORY  WRITE 6306 fe:00:7 0 EOF\n");
  FoundPath found;
  found.fact.device = 254U << 20;
  const auto used = [&](PathFact::Type type, uint64_t inode, const LockTable* table) {
    found.fact.type = type;
    found.fact.inode = inode;
    return is_path_used(found, files, leftovers, sockets, table);
  };
  using Type = PathFact::Type;
  CHECK(used(Type::fifo, 5, nullptr) == true);
  CHECK(used(Type::fifo, 6, nullptr) == false);
  CHECK(used(Type::lock_file, 6, nullptr) == true);
  CHECK(used(Type::lock_file, 7, &locks) == true);
  CHECK(used(Type::lock_file, 8, &locks) == false);
  CHECK(used(Type::lock_file, 8, nullptr) == std::nullopt);
  CHECK(used(Type::socket, 9, nullptr) == false);
  found.fact.device = 1;
  CHECK(used(Type::lock_file, 6, &locks) == false);
  found.odd_numbers = true;
  CHECK(used(Type::lock_file, 6, &locks) == true);
  CHECK(used(Type::lock_file, 7, &locks) == true);
  CHECK(used(Type::lock_file, 8, &locks) == std::nullopt);
  found.odd_numbers = false;
  leftovers.unseen.resize(1);
  CHECK(used(Type::fifo, 6, nullptr) == std::nullopt);
  CHECK(used(Type::socket, 9, nullptr) == false);
  leftovers.processes_outside = true;
  CHECK(used(Type::socket, 9, nullptr) == std::nullopt);
  CHECK(used(Type::lock_file, 8, &locks) == std::nullopt);
}

TEST_CASE("numbers of processes in other namespaces", "[leftovers]") {
  Snapshot snapshot;
  Process& inside = add_process(snapshot, 500, "daemon");
  inside.ns_pid = 7;
  inside.mnt_ns = 20;
  inside.pid_ns = 30;
  Process& beside = add_process(snapshot, 501, "daemon");
  beside.mnt_ns = 21;
  beside.pid_ns = 1;
  CHECK(outer_pid(snapshot, 20, 1, 7) == 500);
  CHECK(outer_pid(snapshot, 20, 1, 8) == 0);
  CHECK(outer_pid(snapshot, 21, 1, 8) == 8);
  CHECK(outer_pid(snapshot, 22, 1, 8) == 0);
}

TEST_CASE("instances", "[leftovers]") {
  const FakeTree host;
  host.file("var/lib/postgresql/15/main/postmaster.pid", postmaster_text);
  host.file("var/lib/pgsql/data/postmaster.pid", "900\n/var/lib/pgsql/data\n");
  host.file("run/apache2/apache2.pid", "800\n");
  host.file("run/httpd/httpd.pid", "801\n");
  host.file("etc/oratab", "ORCL:/u01:Y\nIDLE:/u02:N\n");
  host.file("usr/sap/sapservices", "x pf=/usr/sap/NPL/SYS/profile/NPL_D00_host\n");
  const FakeTree proc;
  proc.file("700/cmdline", std::string("ora_pmon_ORCL\0", 14));
  proc.file("900/mountinfo", "");
  proc.link("900/cwd", host.path() + "/var/lib/pgsql/data");
  proc.file("710/cmdline", std::string("sapstart\0pf=/usr/sap/NPL/SYS/profile/NPL_D00_host\0", 50));

  Snapshot snapshot;
  add_process(snapshot, 700, "ora_pmon_ORCL");
  add_process(snapshot, 710, "sapstart");
  add_process(snapshot, 800, "apache2");
  add_process(snapshot, 801, "bash");  // has the number of an httpd that is gone
  Process& worker = add_process(snapshot, 802, "apache2");
  worker.ppid = 800;
  add_process(snapshot, 900, "postgres");

  const Result<ProcRoot> root = ProcRoot::open(proc.path().c_str());
  Leftovers leftovers;
  find_instances(snapshot, *root, host.path(), leftovers);
  const Instance* found = instance(leftovers, "/var/lib/postgresql/15/main");
  REQUIRE(found != nullptr);
  CHECK(found->pid == 4711);
  CHECK(found->key == 5432001U);
  CHECK(found->shm_id == 65538);
  CHECK(found->alive != true);
  found = instance(leftovers, host.path() + "/var/lib/pgsql/data");
  REQUIRE(found != nullptr);
  CHECK(found->pid == 900);
  CHECK(found->alive == true);
  found = instance(leftovers, "/run/apache2");
  REQUIRE(found != nullptr);
  CHECK(found->pid == 800);
  CHECK(found->alive == true);
  found = instance(leftovers, "/run/httpd");
  REQUIRE(found != nullptr);
  CHECK(found->alive == false);
  found = instance(leftovers, "ORCL");
  REQUIRE(found != nullptr);
  CHECK(found->alive == true);
  found = instance(leftovers, "IDLE");
  REQUIRE(found != nullptr);
  CHECK(found->alive == false);
  found = instance(leftovers, "NPL_D00");
  REQUIRE(found != nullptr);
  CHECK(found->pid == 710);
  CHECK(std::count_if(leftovers.instances.begin(), leftovers.instances.end(),
                      [](const Instance& each) {
                        return std::string_view(each.software) == "Apache httpd";
                      }) == 2);

  // Who cannot see every process does not know that an instance is gone.
  Leftovers partial;
  partial.unseen.resize(1);
  find_instances(snapshot, *root, host.path(), partial);
  CHECK(instance(partial, "IDLE")->alive == std::nullopt);
}

TEST_CASE("processes that objects remember", "[leftovers]") {
  std::vector<int32_t> pids;
  add_semaphore_pids(
      R"([{"index":0,"value":1,"pid":77,"increase_waiters":0},{"index":1,"pid":null},)"
      R"({"pid":0}])",
      pids);
  CHECK(pids == std::vector<int32_t>{77, 0});
  add_semaphore_pids("\"pid\":", pids);
  CHECK(pids.size() == 2);

  SnapshotBuilder builder;
  add_process(builder.snapshot(), 4000, "known");
  const ChannelIndex shm = builder.add_channel(Kind::shm, "shm:1");
  builder.integer(shm, "creator_pid", ::getpid());
  builder.integer(shm, "last_pid", 4000);
  const ChannelIndex msg = builder.add_channel(Kind::msg, "msg:1");
  builder.integer(msg, "last_send_pid", 4194304);  // above every possible number
  builder.unknown(msg, "last_receive_pid");
  const Snapshot snapshot = builder.finish();
  const FakeTree tree;
  const std::string own = std::to_string(::getpid());
  tree.file(own + "/status", "Name:\tx\nTgid:\t" + own + "\n");
  const Result<ProcRoot> proc = ProcRoot::open(tree.path().c_str());
  Leftovers leftovers;
  find_pids(snapshot, *proc, leftovers);
  CHECK(leftovers.pids.size() == 2);
  REQUIRE(leftovers.pids.count(::getpid()) == 1);
  CHECK(leftovers.pids[::getpid()].exists);
  CHECK_FALSE(leftovers.pids[4194304].exists);

  SECTION("a thread's number is no process") {
    tree.file(own + "/status", "Name:\tx\nTgid:\t1\n");
    Leftovers again;
    find_pids(snapshot, *proc, again);
    CHECK_FALSE(again.pids[::getpid()].exists);
  }
}

TEST_CASE("processes that were not seen", "[leftovers]") {
  const FakeTree tree;
  const auto stat = [&](int pid, char state, const char* flags, const char* start) {
    std::string text = std::to_string(pid) + " (some one) " + state + " 1 1 1 0 -1 " + flags +
                       " 0 0 0 0 0 0 0 0 20 0 1 0 " + start;
    for (int field = 23; field <= 52; field++) {
      text += " 0";
    }
    tree.file(std::to_string(pid) + "/stat", text + "\n");
  };
  Snapshot snapshot;
  snapshot.boot_ns = 100'000'000'000;
  add_process(snapshot, 1, "init");
  tree.file("1/stat", "");
  add_process(snapshot, 50, "hidden").fd_count.reset();
  snapshot.processes.back().uid = 33;
  add_process(snapshot, 51, "kernel").mm = 0;
  snapshot.processes.back().fd_count.reset();
  stat(60, 'S', "0", "500");  // 5 s after boot: was there
  tree.file("60/status", "Name:\tsome one\nUid:\t5\t6\t7\t8\n");
  stat(61, 'S', "0", "20000");    // 200 s: came later
  stat(62, 'S', "2097152", "1");  // a kernel thread
  stat(63, 'Z', "0", "500");
  const Result<ProcRoot> proc = ProcRoot::open(tree.path().c_str());
  Leftovers leftovers;
  CHECK(find_unseen(snapshot, *proc, leftovers) == std::vector<int>{60});
  REQUIRE(leftovers.unseen.size() == 2);
  CHECK(leftovers.unseen[0].name == "process 50 (hidden)");
  CHECK(leftovers.unseen[0].uids == std::vector<uint32_t>{33});
  CHECK(leftovers.unseen[1].pid == 60);
  CHECK(leftovers.unseen[1].uids == std::vector<uint32_t>{5, 6, 7, 8});
  CHECK(leftovers.unseen[1].start_ns == 5'000'000'000U);
  CHECK(leftovers.processes_outside);  // the fake tree does not tell
  tree.link(std::to_string(::getpid()) + "/ns/pid", "pid:[4026531836]");
  Leftovers again;
  (void)find_unseen(snapshot, *proc, again);
  CHECK_FALSE(again.processes_outside);
  std::error_code ignored;
  std::filesystem::remove_all(tree.path() + "/1", ignored);
  Leftovers without_first;
  (void)find_unseen(snapshot, *proc, without_first);
  REQUIRE(without_first.unseen.size() == 3);
  CHECK(without_first.unseen[2].uids.empty());
}
