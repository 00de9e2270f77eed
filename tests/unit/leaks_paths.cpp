// SPDX-License-Identifier: GPL-2.0-or-later
#include <catch2/catch.hpp>

#include "tests/unit/leaks_support.h"

namespace ipcscope {

using Type = PathFact::Type;
constexpr int64_t made = LeftBehind::made_s;

namespace {

Leak judge_file(Type type, std::optional<bool> used, int32_t pid = 0, bool lives = false,
                int64_t start = made - 9) {
  LeftBehind scene;
  scene.ended({100});
  if (lives) {
    scene.process(200, "daemon", start);
  }
  PathFact path;
  path.type = type;
  path.path = "/run/x";
  path.used = used;
  path.pid = pid;
  path.uid = 33;
  path.change_time = made;
  scene.leftovers.paths.push_back(path);
  return judge_one(scene);
}

}  // namespace

TEST_CASE("a socket path without a socket is stale", "[leaks]") {
  const Leak leak = judge_file(Type::socket, false);
  CHECK(leak.verdict == Verdict::leaked);
  CHECK(leak.rule == std::string("stale-socket"));
  CHECK(leak.id == "unix:/run/x");
  CHECK(leak.kind == "unix");
  CHECK(leak.uid == 33U);
  CHECK(leak.age_s == uint64_t{LeftBehind::now_s - made});
  CHECK(judge_file(Type::socket, true).verdict == Verdict::live);
  CHECK(judge_file(Type::socket, std::nullopt).verdict == Verdict::suspect);
}

TEST_CASE("a FIFO without opener is worth knowing, and no more", "[leaks]") {
  CHECK(judge_file(Type::fifo, false).verdict == Verdict::info);
  CHECK(judge_file(Type::fifo, std::nullopt).verdict == Verdict::info);
  CHECK(judge_file(Type::fifo, true).verdict == Verdict::live);
  CHECK(judge_file(Type::fifo, false).id == "fifo:/run/x");
  CHECK(judge_file(Type::fifo, false).rule == std::string("unused-fifo"));
}

TEST_CASE("a lock file is abandoned when its process ended and nobody holds a lock", "[leaks]") {
  CHECK(judge_file(Type::lock_file, false, 100).verdict == Verdict::info);
  CHECK(judge_file(Type::lock_file, std::nullopt, 100).verdict == Verdict::info);
  CHECK(judge_file(Type::lock_file, true, 100).verdict == Verdict::live);
  CHECK(judge_file(Type::lock_file, false, 200, true).verdict == Verdict::live);
  CHECK(judge_file(Type::lock_file, false, 200, true, made + 3).verdict == Verdict::info);
  CHECK(judge_file(Type::lock_file, false, 0).verdict == Verdict::live);
  CHECK(judge_file(Type::lock_file, false, 300).verdict == Verdict::live);  // nobody asked
  CHECK(judge_file(Type::lock_file, false, 100).rule == std::string("abandoned-lock-file"));
}

TEST_CASE("a path of another mount namespace says so", "[leaks]") {
  LeftBehind scene;
  PathFact path;
  path.path = "/run/x";
  path.used = false;
  path.name_space = 4026532000;
  scene.leftovers.paths.push_back(path);
  const Leak leak = judge_one(scene);
  CHECK(leak.id == "unix:/run/x@4026532000");
  CHECK(leak.name_space == 4026532000);
  CHECK_FALSE(leak.age_s);
}

}  // namespace ipcscope
