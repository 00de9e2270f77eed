// SPDX-License-Identifier: GPL-2.0-or-later
#include <catch2/catch.hpp>
#include <functional>

#include "tests/unit/leaks_support.h"

namespace ipcscope {

using Shm = LeftBehind::Shm;
using Sem = LeftBehind::Sem;
using Msg = LeftBehind::Msg;
constexpr int64_t made = LeftBehind::made_s;
constexpr int64_t now = LeftBehind::now_s;

TEST_CASE("a segment whose creator and last user ended is leaked", "[leaks]") {
  LeftBehind scene;
  scene.ended({100, 101});
  scene.add(Shm{});
  const Leak leak = judge_one(scene);
  CHECK(leak.verdict == Verdict::leaked);
  CHECK(leak.rule == std::string("leaked-shm"));
  CHECK(leak.id == "shm:5");
  CHECK(leak.bytes == 65536U);
  CHECK(leak.age_s == uint64_t{now - made - 20});
  CHECK(leak.creator == 100);
  CHECK(leak.creator_text == "100, ended");
  CHECK(fact(leak, "attached") == "nobody has it attached");
  CHECK(fact(leak, "creator") == "creator 100 ended");
  CHECK(fact(leak, "last_user") == "last user 101 ended");
}

TEST_CASE("each fact about a segment counts", "[leaks]") {
  CHECK(verdict_on(Shm{.attaches = 1}) == Verdict::live);
  CHECK(verdict_on(Shm{.attaches = -1}) == Verdict::suspect);
  CHECK(verdict_on(Shm{.creator = -1}) == Verdict::suspect);
  CHECK(verdict_on(Shm{.last = -1}) == Verdict::suspect);
  CHECK(verdict_on(Shm{.last = 0, .attach_time = 0, .detach_time = 0}) == Verdict::leaked);
  CHECK(verdict_on(Shm{.attaches = 1, .destroyed = true}) == Verdict::live);
  CHECK(verdict_on(Shm{.last = 102}) == Verdict::suspect);  // nobody asked about 102
  CHECK(verdict_on(Shm{.key = 0}) == Verdict::leaked);
  CHECK(verdict_on(Shm{.name_space = 4026532000}) == Verdict::leaked);
}

TEST_CASE("a segment marked for destruction names its holders", "[leaks]") {
  LeftBehind scene;
  scene.ended({100, 101});
  const auto holder = scene.process(200, "holder", made);
  const auto channel = scene.add(Shm{.attaches = 1, .destroyed = true});
  scene.end(channel, holder, Role::attached);
  const Leak leak = judge_one(scene);
  CHECK(leak.verdict == Verdict::live);
  CHECK(fact(leak, "attached") == "attached by holder[200]");
  CHECK(fact(leak, "destroyed").find("marked for destruction") == 0);
}

TEST_CASE("a process that an object remembers", "[leaks]") {
  const auto verdict = [](int64_t start, char state = 'S') {
    LeftBehind scene;
    scene.ended({101});
    scene.process(100, "daemon", start, 0, LeftBehind::own_ns, state);
    scene.add(Shm{});
    return judge_one(scene);
  };
  CHECK(verdict(made - 100).verdict == Verdict::live);
  CHECK(verdict(made - 100).creator_text == "daemon[100], lives");
  CHECK(verdict(made - 100, 'Z').verdict == Verdict::leaked);
  // Times are whole seconds: up to two seconds later it can be the same process.
  CHECK(verdict(made).verdict == Verdict::live);
  CHECK(verdict(made + 2).verdict == Verdict::live);
  CHECK(verdict(made + 3).verdict == Verdict::leaked);
  CHECK(verdict(made + 3).creator_text == "100, now daemon");
  CHECK(fact(verdict(made + 3), "creator") == "creator 100 ended, its number is now daemon's");
}

TEST_CASE("the last user is compared with the time of its use", "[leaks]") {
  const auto verdict = [](int64_t start) {
    LeftBehind scene;
    scene.ended({100});
    scene.process(101, "user", start);
    scene.add(Shm{});  // detached at made + 20
    return judge_one(scene).verdict;
  };
  CHECK(verdict(made + 22) == Verdict::live);
  CHECK(verdict(made + 23) == Verdict::leaked);
}

TEST_CASE("times from before the machine's start prove nothing: the clock was set", "[leaks]") {
  LeftBehind scene;
  scene.ended({101});
  scene.process(100, "daemon", LeftBehind::boot_s + 30);
  scene.add(Shm{.attach_time = 0, .detach_time = 100, .change_time = 100});
  CHECK(judge_one(scene).verdict == Verdict::suspect);
}

TEST_CASE("a process outside the snapshot that exists", "[leaks]") {
  const auto verdict = [](std::optional<uint64_t> start_s) {
    LeftBehind scene;
    scene.ended({101});
    scene.leftovers.pids[100].exists = true;
    if (start_s) {
      scene.leftovers.pids[100].start_ns = (*start_s - LeftBehind::boot_s) * 1'000'000'000;
    }
    scene.add(Shm{});
    return judge_one(scene).verdict;
  };
  CHECK(verdict(std::nullopt) == Verdict::suspect);
  CHECK(verdict(made) == Verdict::live);
  CHECK(verdict(made + 3) == Verdict::leaked);
}

TEST_CASE("ipcscope's own number was another process's", "[leaks]") {
  LeftBehind scene;
  scene.ended({101});
  scene.add(Shm{.creator = 1, .change_time = now});
  CHECK(judge_one(scene).verdict == Verdict::leaked);
}

TEST_CASE("processes that cannot be inspected do not matter to an attachment count", "[leaks]") {
  LeftBehind scene;
  scene.ended({100, 101});
  scene.leftovers.unseen.resize(3);
  scene.leftovers.processes_outside = true;
  scene.add(Shm{});
  CHECK(judge_one(scene).verdict == Verdict::leaked);
}

TEST_CASE("--min-age holds for System V objects only when given", "[leaks]") {
  LeftBehind scene;
  scene.ended({100, 101});
  scene.query.min_age_s = uint64_t{now - made};
  scene.add(Shm{});  // 20 s younger
  scene.add(Sem{.operate_time = 0});
  scene.add(Msg{.send_time = now, .receive_time = now - 1});
  const auto leaks = scene.judge();
  REQUIRE(leaks.size() == 3);
  CHECK(leaks[0].verdict == Verdict::suspect);
  CHECK(fact(leaks[0], "age") == "young: used or changed 99980 s ago");
  CHECK(leaks[1].verdict == Verdict::leaked);
  CHECK(leaks[2].verdict == Verdict::suspect);
  CHECK(leaks[2].age_s == 0U);
}

TEST_CASE("a set whose operators ended is leaked", "[leaks]") {
  LeftBehind scene;
  scene.ended({100, 101});
  scene.add(Sem{});
  const Leak leak = judge_one(scene);
  CHECK(leak.verdict == Verdict::leaked);
  CHECK(leak.rule == std::string("leaked-sem"));
  CHECK(leak.lost == "2 semaphore values");
  CHECK(fact(leak, "operators") == "its 2 last operators ended");
  CHECK(fact(leak, "undo") == "no process has operations on it to undo");
  CHECK(fact(leak, "blocked") == "nobody is blocked on it");
}

TEST_CASE("each fact about a set counts", "[leaks]") {
  CHECK(verdict_on(Sem{.pids = {100, 0}}) == Verdict::leaked);
  CHECK(verdict_on(Sem{.pids = {100, -1}}) == Verdict::suspect);
  CHECK(verdict_on(Sem{.pids = {100, 102}}) == Verdict::suspect);
  CHECK(verdict_on(Sem{.undos = std::nullopt}) == Verdict::suspect);
  CHECK(verdict_on(Sem{.undos = 1}) == Verdict::live);
  CHECK(verdict_on(Sem{.increase = 1}) == Verdict::live);
  CHECK(verdict_on(Sem{.zero = 1}) == Verdict::live);
  CHECK(verdict_on(Sem{.blocked = 1}) == Verdict::live);
  CHECK(verdict_on(Sem{.blocked = std::nullopt}) == Verdict::leaked);  // its counts tell
  CHECK(verdict_on(Sem{.increase = -1}) == Verdict::leaked);           // the kernel's list tells
  CHECK(verdict_on(Sem{.increase = -1, .blocked = std::nullopt}) == Verdict::suspect);
  // The end of a process that only tried leaves a time and no number.
  CHECK(verdict_on(Sem{.pids = {0, 0}}) == Verdict::leaked);
  LeftBehind inside;  // there a 0 may stand for a process that has no number here
  inside.leftovers.processes_outside = true;
  inside.add(Sem{.pids = {0, 0}});
  CHECK(judge_one(inside).verdict == Verdict::suspect);
}

TEST_CASE("one living operator of many keeps a set", "[leaks]") {
  const auto verdict = [](int64_t start) {
    LeftBehind scene;
    scene.ended({100});
    scene.process(101, "worker", start);
    scene.add(Sem{.pids = {100, 101, 100}});
    return judge_one(scene);
  };
  CHECK(verdict(made).verdict == Verdict::live);
  CHECK(fact(verdict(made), "operators") == "last operator worker[101] lives");
  CHECK(verdict(made + 12).verdict == Verdict::live);
  CHECK(verdict(made + 13).verdict == Verdict::leaked);
}

TEST_CASE("setting a value names a process without an operation", "[leaks]") {
  const auto verdict = [](int64_t start) {
    LeftBehind scene;
    scene.process(100, "maker", start);
    scene.add(Sem{.pids = {100}, .operate_time = 0});
    return judge_one(scene);
  };
  CHECK(verdict(made).verdict == Verdict::live);
  CHECK(verdict(made + 3).verdict == Verdict::leaked);
  CHECK(verdict(made).age_s == uint64_t{now - made});
}

TEST_CASE("a thread that waits at a set keeps it", "[leaks]") {
  LeftBehind scene;
  scene.ended({100, 101});
  const auto waiter = scene.process(200, "waiter", made);
  const auto channel = scene.add(Sem{.blocked = std::nullopt});
  scene.wait(channel, waiter, "semop");
  CHECK(judge_one(scene).verdict == Verdict::live);
}

namespace {

/// A set and a queue of user 33 that were used by processes that ended, or never.
constexpr uint32_t creator_uid = 33;

Leak judge_made_by(bool used, const std::function<void(LeftBehind&)>& prepare, uint32_t uid,
                   int64_t change_time) {
  LeftBehind scene;
  scene.ended({100, 101});
  prepare(scene);
  Sem sem{.operate_time = change_time, .change_time = change_time, .cuid = uid};
  Msg msg{.send_time = change_time,
          .receive_time = change_time,
          .change_time = change_time,
          .cuid = uid};
  if (!used) {
    sem.pids = {0, 0};
    msg.sender = msg.receiver = 0;
    sem.operate_time = msg.send_time = msg.receive_time = 0;
  }
  scene.add(sem);
  scene.add(msg);
  const auto leaks = scene.judge();
  REQUIRE(leaks.size() == 2);
  CHECK(leaks[0].verdict == leaks[1].verdict);
  CHECK(fact(leaks[0], "creator") == fact(leaks[1], "creator"));
  return leaks[0];
}

/// The same of what was used and what was not.
Leak judge_made(const std::function<void(LeftBehind&)>& prepare, uint32_t uid = creator_uid,
                int64_t change_time = made) {
  const Leak never = judge_made_by(false, prepare, uid, change_time);
  Leak used = judge_made_by(true, prepare, uid, change_time);
  CHECK(never.verdict == used.verdict);
  CHECK(fact(never, "creator") == fact(used, "creator"));
  return used;
}

UnseenProcess dark(std::vector<uint32_t> uids, int64_t start, int pid = 7) {
  return {.name = "process 7 (dark)",
          .pid = pid,
          .uids = std::move(uids),
          .start_ns = static_cast<uint64_t>(start - LeftBehind::boot_s) * 1'000'000'000};
}

}  // namespace

TEST_CASE("a set or queue whose creator may live is suspect, whoever used it", "[leaks]") {
  const Leak gone = judge_made([](LeftBehind&) {});
  CHECK(gone.verdict == Verdict::leaked);
  CHECK(fact(gone, "creator") == "no process of its creator's user is as old as it");
  const Leak one = judge_made([](LeftBehind& scene) { scene.process(200, "cron", made - 9, 33); });
  CHECK(one.verdict == Verdict::suspect);
  CHECK(fact(one, "creator") ==
        "who made it is not recorded: cron[200] may have; if no such program needs it, it was left "
        "behind: answer 'each' to --clean --force");
  REQUIRE(one.deciding() != nullptr);
  CHECK(one.deciding()->shortest() == "perhaps of cron[200]");
  // The one that began last before it is the most likely.
  const Leak many = judge_made([](LeftBehind& scene) {
    scene.process(200, "cron", made - 900, 33);
    scene.process(201, "apache2", made - 1, 33);
    scene.process(202, "atd", made - 800, 33);
    scene.process(203, "late", made + 3, 33);
  });
  CHECK(fact(many, "creator").find("apache2[201] or 2 other processes of its user may have;") !=
        std::string::npos);
  CHECK(many.deciding()->shortest() == "perhaps of apache2[201] or 2 more");
}

TEST_CASE("who cannot have made a set or queue does not matter", "[leaks]") {
  CHECK(judge_made([](LeftBehind& scene) {
          scene.process(200, "late", made + 3, 33);
          scene.process(201, "other", made - 9, 34);
          scene.process(202, "elsewhere", made - 9, 33, 4026532000);
          scene.process(203, "zombie", made - 9, 33, LeftBehind::own_ns, 'Z');
          scene.process(204, "kworker", made - 9, 33, LeftBehind::own_ns, 'I');
        }).verdict == Verdict::leaked);
  CHECK(judge_made([](LeftBehind& scene) {
          scene.process(200, "anywhere", made - 9, 33, 0);
        }).verdict == Verdict::suspect);
}

TEST_CASE("root's creator may be another user's process by now", "[leaks]") {
  const Leak dropped =
      judge_made([](LeftBehind& scene) { scene.process(200, "named", made - 9, 33); }, 0);
  CHECK(dropped.verdict == Verdict::suspect);
  CHECK(fact(dropped, "creator").find(": named[200] may have;") != std::string::npos);
  const Leak both = judge_made(
      [](LeftBehind& scene) {
        scene.process(200, "named", made - 9, 33);
        scene.process(201, "init", made - 900, 0);
      },
      0);
  CHECK(fact(both, "creator").find(": init[201] may have;") != std::string::npos);
}

TEST_CASE("a process that could not be inspected may have made what its users can", "[leaks]") {
  const auto verdict = [](const UnseenProcess& unseen, uint32_t uid = creator_uid) {
    return judge_made([&](LeftBehind& scene) { scene.leftovers.unseen = {unseen}; }, uid);
  };
  CHECK(verdict(dark({0, 0, 0, 0}, made - 9)).verdict == Verdict::leaked);
  CHECK(verdict(dark({0, 0, 0, 33}, made - 9)).verdict == Verdict::suspect);
  CHECK(verdict(dark({34, 34, 34, 34}, made - 9), 0).verdict == Verdict::suspect);
  CHECK(verdict(dark({33, 33, 33, 33}, made + 3)).verdict == Verdict::leaked);
  const Leak anybody = verdict({.name = "processes that /proc does not list"});
  CHECK(anybody.verdict == Verdict::suspect);
  CHECK(fact(anybody, "creator") ==
        "who made it is not recorded: processes that /proc does not list, which could not be "
        "inspected, may have");
  // Its descriptors are hidden, but who it is was seen: it was not yet there.
  CHECK(judge_made([](LeftBehind& scene) {
          scene.process(200, "late", made + 3, 33);
          scene.leftovers.unseen = {dark({33}, made - 9, 200)};
        }).verdict == Verdict::leaked);
  CHECK(judge_made([](LeftBehind& scene) { scene.leftovers.processes_outside = true; }).verdict ==
        Verdict::suspect);
}

TEST_CASE("what was made while the processes were listed is suspect", "[leaks]") {
  const auto verdict = [](int64_t change_time) {
    return judge_made([](LeftBehind&) {}, creator_uid, change_time).verdict;
  };
  CHECK(verdict(now) == Verdict::suspect);
  CHECK(verdict(now - 1) == Verdict::suspect);  // the clock of the kernel may be a tick late
  CHECK(verdict(now - 2) == Verdict::leaked);
}

TEST_CASE("a queue whose user has no number here is suspect", "[leaks]") {
  const Leak leak = [] {
    LeftBehind scene;
    scene.ended({100});
    scene.add(Msg{.receiver = 0});
    return judge_one(scene);
  }();
  CHECK(leak.verdict == Verdict::suspect);
  CHECK(fact(leak, "receiver") == "last receiver was of another PID namespace, or is hidden");
}

TEST_CASE("a set of another namespace looks for its creator there", "[leaks]") {
  constexpr uint32_t other = 4026532000;
  const auto verdict = [&](uint32_t where) {
    LeftBehind scene;
    scene.ended({100, 101});
    scene.process(200, "daemon", made - 9, 33, where);
    scene.add(Sem{.cuid = 33, .name_space = other});
    return judge_one(scene).verdict;
  };
  CHECK(verdict(other) == Verdict::suspect);
  CHECK(verdict(LeftBehind::own_ns) == Verdict::leaked);
}

TEST_CASE("a queue whose users ended is leaked, with its messages", "[leaks]") {
  LeftBehind scene;
  scene.ended({100, 101});
  scene.add(Msg{.messages = 3, .bytes = 120});
  const Leak leak = judge_one(scene);
  CHECK(leak.verdict == Verdict::leaked);
  CHECK(leak.rule == std::string("leaked-msg"));
  CHECK(leak.lost == "3 messages, 120 bytes");
  CHECK(leak.bytes == 120U);
  CHECK(fact(leak, "sender") == "last sender 100 ended");
}

TEST_CASE("each fact about a queue counts", "[leaks]") {
  CHECK(verdict_on(Msg{.sender = -1}) == Verdict::suspect);
  CHECK(verdict_on(Msg{.receiver = -1}) == Verdict::suspect);
  CHECK(verdict_on(Msg{.receiver = 0, .receive_time = 0}) == Verdict::leaked);
  CHECK(verdict_on(Msg{.blocked = 1}) == Verdict::live);
  CHECK(verdict_on(Msg{.blocked = std::nullopt}) == Verdict::leaked);  // all threads were seen
  LeftBehind blind;
  blind.leftovers.unseen = {dark({33}, made - 9)};
  blind.ended({100});
  blind.add(Msg{.blocked = std::nullopt});
  CHECK(judge_one(blind).verdict == Verdict::suspect);
  LeftBehind scene;
  scene.ended({100});
  scene.process(101, "receiver", made);
  scene.add(Msg{});
  CHECK(judge_one(scene).verdict == Verdict::live);
}

TEST_CASE("the fact that decided comes first in why", "[leaks]") {
  LeftBehind scene;
  scene.ended({100, 101});
  scene.add(Shm{.attaches = -1});
  const Leak leak = judge_one(scene);
  REQUIRE(leak.deciding() != nullptr);
  CHECK(leak.deciding()->fact == std::string("attached"));
}

}  // namespace ipcscope
