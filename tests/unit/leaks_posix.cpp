// SPDX-License-Identifier: GPL-2.0-or-later
#include <catch2/catch.hpp>

#include "tests/unit/leaks_support.h"

namespace ipcscope {

using Posix = LeftBehind::Posix;
constexpr int64_t made = LeftBehind::made_s;
constexpr int64_t now = LeftBehind::now_s;
constexpr Kind posix_kinds[] = {Kind::posixshm, Kind::posixsem, Kind::mq};

TEST_CASE("a POSIX object that nobody has is leaked", "[leaks]") {
  const char* rules[] = {"leaked-posix-shm", "leaked-posix-sem", "leaked-mq"};
  for (size_t i = 0; i < 3; i++) {
    LeftBehind scene;
    scene.add(Posix{.kind = posix_kinds[i]});
    const Leak leak = judge_one(scene);
    CHECK(leak.verdict == Verdict::leaked);
    CHECK(leak.rule == std::string(rules[i]));
    CHECK(leak.age_s == uint64_t{now - made});
    CHECK(fact(leak, "users") == "no process has it open or mapped");
  }
}

TEST_CASE("whoever has a POSIX object keeps it", "[leaks]") {
  for (const Kind kind : posix_kinds) {
    for (const Role role : {Role::attached, Role::opener}) {
      LeftBehind scene;
      const auto user = scene.process(200, "user", made);
      scene.end(scene.add(Posix{.kind = kind}), user, role);
      const Leak leak = judge_one(scene);
      CHECK(leak.verdict == Verdict::live);
      CHECK(fact(leak, "users") == "used by user[200]");
    }
    LeftBehind scene;  // a descriptor in the queue of a socket belongs to no process
    scene.end(scene.add(Posix{.kind = kind}), no_index, Role::opener);
    const Leak leak = judge_one(scene);
    CHECK(leak.verdict == Verdict::live);
    CHECK(fact(leak, "users") == "used by a message in flight");
  }
}

TEST_CASE("what the kernel says outweighs who could be seen", "[leaks]") {
  for (const Kind kind : posix_kinds) {
    const auto verdict = [kind](std::optional<bool> unused, uint64_t unseen, bool outside) {
      LeftBehind scene;
      scene.leftovers.unseen.resize(unseen);
      if (unseen > 0) {
        scene.leftovers.unseen.front().name = "process 1 (systemd)";
      }
      scene.leftovers.processes_outside = outside;
      scene.add(Posix{.kind = kind, .unused = unused});
      return judge_one(scene);
    };
    CHECK(verdict(true, 0, false).verdict == Verdict::leaked);
    CHECK(verdict(true, 5, true).verdict == Verdict::leaked);
    CHECK(verdict(false, 0, false).verdict == Verdict::live);
    CHECK(verdict(std::nullopt, 1, false).verdict == Verdict::suspect);
    CHECK(verdict(std::nullopt, 0, true).verdict == Verdict::suspect);
    CHECK(fact(verdict(std::nullopt, 1, false), "users") ==
          "process 1 (systemd), which could not be inspected, may use it");
    CHECK(fact(verdict(std::nullopt, 3, false), "users") ==
          "process 1 (systemd) or another of 3 processes that could not be inspected may use it");
  }
}

TEST_CASE("an unlinked object lives by its users", "[leaks]") {
  CHECK(verdict_on(Posix{.unlinked = true}) == Verdict::live);
}

TEST_CASE("young POSIX objects are suspect", "[leaks]") {
  const auto verdict = [](int64_t age, std::optional<uint64_t> min_age) {
    LeftBehind scene;
    scene.query.min_age_s = min_age;
    scene.add(Posix{.change_time = now - age});
    return judge_one(scene).verdict;
  };
  CHECK(verdict(59, {}) == Verdict::suspect);
  CHECK(verdict(60, {}) == Verdict::leaked);
  CHECK(verdict(0, 0) == Verdict::leaked);
  CHECK(verdict(599, 600) == Verdict::suspect);
  CHECK(verdict(600, 600) == Verdict::leaked);
  CHECK(verdict(-100, {}) == Verdict::suspect);  // from the future
  CHECK(verdict_on(Posix{.change_time = -1}) == Verdict::suspect);
}

TEST_CASE("objects of a live user session are suspect", "[leaks]") {
  const auto verdict = [](uint32_t owner, uint32_t user, char state) {
    LeftBehind scene;
    scene.process(200, "bash", made, user, LeftBehind::own_ns, state);
    scene.add(Posix{.uid = owner});
    return judge_one(scene).verdict;
  };
  CHECK(verdict(1000, 1000, 'S') == Verdict::suspect);
  CHECK(verdict(1000, 1000, 'Z') == Verdict::leaked);
  CHECK(verdict(1000, 1001, 'S') == Verdict::leaked);
  CHECK(verdict(33, 33, 'S') == Verdict::leaked);
  CHECK(verdict(65534, 65534, 'S') == Verdict::leaked);
}

TEST_CASE("a file in /dev/shm is no segment", "[leaks]") {
  for (const uint64_t bytes : {uint64_t{0}, uint64_t{1}, uint64_t{4097}}) {
    LeftBehind scene;
    scene.add(Posix{.bytes = bytes});
    const Leak leak = judge_one(scene);
    CHECK(leak.verdict == Verdict::suspect);
    CHECK(leak.kind == "file");
    CHECK(leak.id == "file:/dev/shm/x");
    CHECK(fact(leak, "file").find("a file rather than a segment") == 0);
  }
  LeftBehind scene;
  const auto user = scene.process(200, "user", made);
  scene.end(scene.add(Posix{.bytes = 1}), user, Role::attached);
  const Leak leak = judge_one(scene);
  CHECK(leak.verdict == Verdict::live);
  CHECK(leak.kind == "posixshm");
}

TEST_CASE("a queue with somebody to notify or blocked lives", "[leaks]") {
  CHECK(verdict_on(Posix{.kind = Kind::mq, .notify_pid = 9}) == Verdict::live);
  CHECK(verdict_on(Posix{.kind = Kind::mq, .senders = 1}) == Verdict::live);
  CHECK(verdict_on(Posix{.kind = Kind::mq, .receivers = 1}) == Verdict::live);
  LeftBehind scene;
  scene.add(Posix{.kind = Kind::mq, .messages = 1, .queued = 40});
  const Leak leak = judge_one(scene);
  CHECK(leak.verdict == Verdict::leaked);
  CHECK(leak.lost == "1 message, 40 bytes");
}

}  // namespace ipcscope
