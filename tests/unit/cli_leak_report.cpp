// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/leak_report.h"

#include <catch2/catch.hpp>

#include "cli/arguments.h"
#include "tests/unit/fake_tree.h"
#include "tests/unit/leaks_support.h"

namespace ipcscope {

using Shm = LeftBehind::Shm;
using Sem = LeftBehind::Sem;
using Msg = LeftBehind::Msg;
using Posix = LeftBehind::Posix;

namespace {

constexpr uint32_t other_ns = 4026532000;

LeakReport report_on(LeftBehind& scene, const LeakFilter& filter, bool own_user_only = false) {
  const FakeTree tree;
  tree.file("sys/kernel/shmmni", "4096\n");
  tree.file("sys/kernel/sem", "32000\t1024000000\t500\t32001\n");
  const auto root = ProcRoot::open(tree.path().c_str());
  REQUIRE(root);
  std::vector<Leak> leaks = scene.judge();
  return make_leak_report(scene.snapshot, scene.leftovers, std::move(leaks), filter, own_user_only,
                          *root);
}

std::vector<std::string> ids(const LeakReport& report) {
  std::vector<std::string> all;
  for (const Leak& leak : report.leaks) {
    all.push_back(leak.id);
  }
  return all;
}

void fill(LeftBehind& scene) {
  scene.ended({100, 101});
  scene.add(Shm{.attaches = 2});                         // shm:5, live
  scene.add(Shm{.creator = -1});                         // shm:6, suspect
  scene.add(Shm{});                                      // shm:7, leaked
  scene.add(Sem{.uid = 33});                             // sem:8, leaked
  scene.add(Msg{.name_space = other_ns});                // msg:9@..., leaked
  scene.add(Msg{.sender = -1, .name_space = other_ns});  // suspect
}

}  // namespace

TEST_CASE("a report has the worst first, and its own namespace", "[leak_report]") {
  LeftBehind scene;
  fill(scene);
  const LeakReport report = report_on(scene, {.name_space = 0});
  CHECK(ids(report) == std::vector<std::string>{"shm:7", "sem:8", "shm:6"});
  CHECK(report.other_namespaces.leaked == 1);
  CHECK(report.other_namespaces.suspect == 1);
  CHECK_FALSE(report.other_users.any());
  CHECK(report.count(Verdict::leaked) == 2);
  CHECK(report.limits.at(0) == 4096);
  CHECK(report.limits.at(1) == 32001);
  CHECK(report.limits.at(2) == 0);
}

TEST_CASE("filters of a report", "[leak_report]") {
  const auto selected = [](const LeakFilter& filter, bool own_user_only = false) {
    LeftBehind scene;
    fill(scene);
    return ids(report_on(scene, filter, own_user_only));
  };
  CHECK(selected({}).size() == 5);
  CHECK(selected({.live = true}).size() == 6);
  CHECK(selected({.kinds = {"sem"}}) == std::vector<std::string>{"sem:8"});
  CHECK(selected({.user = 33}) == std::vector<std::string>{"sem:8"});
  CHECK(selected({.name_space = other_ns}) ==
        std::vector<std::string>{"msg:9@4026532000", "msg:10@4026532000"});
  LeftBehind scene;
  fill(scene);
  const LeakReport report = report_on(scene, {.user = 33, .name_space = 0}, true);
  CHECK(report.other_users.leaked == 2);
  CHECK(report.other_users.suspect == 2);
}

TEST_CASE("what a removal of a segment looks for", "[leak_report]") {
  LeftBehind scene;
  scene.ended({100, 101});
  scene.process(200, "inside", 900'000, 0, other_ns);
  scene.add(Shm{.key = 0xabcd, .uid = 33, .cuid = 34, .name_space = other_ns});
  const LeakReport report = report_on(scene, {});
  const Target target = make_target(report, report.leaks.at(0));
  CHECK(target.type == Target::Type::shm);
  CHECK(target.id == "shm:5@4026532000");
  CHECK(target.name_space == other_ns);
  CHECK(target.pids == std::vector<int>{200});
  CHECK(target.sysv_id == 5);
  CHECK(target.key == 0xabcd);
  CHECK(target.uid == 33);
  CHECK(target.gid == 7);
  CHECK(target.cuid == 34);
  CHECK(target.cgid == 8);
  CHECK(target.mode == 0600);
  CHECK(target.creator == 100);
  CHECK(target.last == 101);
  CHECK(target.times[0] == LeftBehind::made_s + 10);
  CHECK(target.times[1] == LeftBehind::made_s + 20);
  CHECK(target.times[2] == LeftBehind::made_s);
  CHECK(target.bytes == 65536);
  CHECK_FALSE(target.allow_used);
}

TEST_CASE("what a removal of a set or queue looks for", "[leak_report]") {
  LeftBehind scene;
  scene.ended({100, 101});
  scene.add(Sem{});
  scene.add(Msg{.messages = 2, .bytes = 50});
  const LeakReport report = report_on(scene, {});
  const Target sem = make_target(report, report.leaks.at(0));
  CHECK(sem.type == Target::Type::sem);
  CHECK(sem.times[0] == LeftBehind::made_s + 10);
  CHECK(sem.times[2] == LeftBehind::made_s);
  CHECK(sem.messages == 2);
  CHECK(sem.operators == Sem{}.pids);
  const Target msg = make_target(report, report.leaks.at(1));
  CHECK(msg.type == Target::Type::msg);
  CHECK(msg.sysv_id == 6);
  CHECK(msg.creator == 100);
  CHECK(msg.last == 101);
  CHECK(msg.times[1] == LeftBehind::made_s + 20);
  CHECK(msg.messages == 2);
  CHECK(msg.bytes == 50);
}

TEST_CASE("what a removal of a file looks for", "[leak_report]") {
  LeftBehind scene;
  scene.add(Posix{});
  scene.add(Posix{.kind = Kind::posixsem});
  scene.add(Posix{.kind = Kind::mq, .messages = 4});
  PathFact path;
  path.path = "/run/x";
  path.device = 3;
  path.inode = 4;
  path.mode = 0777;
  path.used = false;
  scene.leftovers.paths.push_back(path);
  const LeakReport report = report_on(scene, {});
  REQUIRE(report.leaks.size() == 4);
  const Target shm = make_target(report, report.leaks[0]);
  CHECK(shm.type == Target::Type::posixshm);
  CHECK(shm.path == "/dev/shm/x");
  CHECK(shm.device == 30);
  CHECK(shm.inode == 77);
  CHECK(shm.gid == 9);
  CHECK(shm.bytes == 8192);
  CHECK(shm.times[2] == LeftBehind::made_s);
  const Target sem = make_target(report, report.leaks[1]);
  CHECK(sem.type == Target::Type::posixsem);
  CHECK(sem.path == "/dev/shm/sem.x");
  CHECK(sem.bytes == 32);
  CHECK(sem.device == 30);
  const Target mq = make_target(report, report.leaks[2]);
  CHECK(mq.type == Target::Type::mq);
  CHECK(mq.path == "/x");
  CHECK(mq.messages == 4);
  CHECK(mq.times[2] == 0);  // reading its file changes it
  const Target socket = make_target(report, report.leaks[3]);
  CHECK(socket.type == Target::Type::socket);
  CHECK(socket.path == "/run/x");
  CHECK(socket.device == 3);
  CHECK(socket.inode == 4);
  CHECK(socket.mode == 0777);
}

TEST_CASE("only what is leaked or suspect can be removed", "[leak_report]") {
  const auto removable = [](Verdict verdict) {
    Leak leak;
    leak.verdict = verdict;
    return is_removable(leak);
  };
  CHECK(removable(Verdict::leaked));
  CHECK(removable(Verdict::suspect));
  CHECK_FALSE(removable(Verdict::info));
  CHECK_FALSE(removable(Verdict::live));
}

}  // namespace ipcscope
