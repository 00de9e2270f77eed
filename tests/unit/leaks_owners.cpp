// SPDX-License-Identifier: GPL-2.0-or-later
#include <catch2/catch.hpp>

#include "tests/unit/leaks_support.h"

namespace ipcscope {

using Shm = LeftBehind::Shm;
using Sem = LeftBehind::Sem;
using Posix = LeftBehind::Posix;
constexpr int64_t made = LeftBehind::made_s;

namespace {

Instance instance(const char* software, std::optional<bool> alive) {
  Instance one;
  one.software = software;
  one.name = "/srv/x";
  one.pid = 300;
  one.alive = alive;
  return one;
}

template <typename Object>
Leak judge_with(const Instance& owner, const Object& object, uint32_t uid = 40,
                int64_t start = made - 9) {
  LeftBehind scene;
  scene.ended({100, 101});
  if (owner.alive.value_or(false)) {
    scene.process(owner.pid, "main", start, uid);
  }
  scene.leftovers.instances.push_back(owner);
  scene.add(object);
  return judge_one(scene);
}

}  // namespace

TEST_CASE("PostgreSQL's segment by its key or identifier", "[leaks]") {
  for (const bool by_key : {true, false}) {
    const auto verdict = [by_key](std::optional<bool> alive) {
      Instance owner = instance("PostgreSQL", alive);
      if (by_key) {
        owner.key = 0x1234;
      } else {
        owner.shm_id = 5;
      }
      return judge_with(owner, Shm{});
    };
    CHECK(verdict(true).verdict == Verdict::live);
    CHECK(verdict(false).verdict == Verdict::leaked);
    CHECK(verdict(std::nullopt).verdict == Verdict::suspect);
    CHECK(fact(verdict(true), "instance") == "belongs to PostgreSQL in /srv/x, which runs");
    CHECK(fact(verdict(false), "instance") == "belongs to PostgreSQL in /srv/x, which has ended");
  }
}

TEST_CASE("what is not an instance's is judged without it", "[leaks]") {
  Instance owner = instance("PostgreSQL", true);
  owner.key = 0x9999;
  owner.shm_id = 6;
  const Leak leak = judge_with(owner, Shm{});
  CHECK(leak.verdict == Verdict::leaked);
  CHECK(fact(leak, "instance").empty());
  // Identifiers are those of one namespace; no key is nobody's key.
  owner.shm_id = 5;
  CHECK(judge_with(owner, Shm{.name_space = 4026532000}).verdict == Verdict::leaked);
  owner.shm_id.reset();
  owner.key = 0;
  CHECK(judge_with(owner, Shm{.key = 0}).verdict == Verdict::leaked);
}

TEST_CASE("an instance that ended makes nothing leaked that is used", "[leaks]") {
  Instance owner = instance("PostgreSQL", false);
  owner.key = 0x1234;
  CHECK(judge_with(owner, Shm{.attaches = 1}).verdict == Verdict::live);
}

TEST_CASE("PostgreSQL's sets have the keys behind its segment's", "[leaks]") {
  Instance owner = instance("PostgreSQL", true);
  owner.key = 0x1230;
  CHECK(judge_with(owner, Sem{}).verdict == Verdict::live);
  CHECK(judge_with(owner, Shm{}).verdict == Verdict::leaked);
  owner.key = 0x1235;
  CHECK(judge_with(owner, Sem{.cuid = 41}).verdict == Verdict::leaked);
}

TEST_CASE("Apache's sets are those that its user made since it started", "[leaks]") {
  const Instance owner = instance("Apache httpd", true);
  const auto verdict = [&](const Sem& sem, int64_t start = made - 9) {
    return judge_with(owner, sem, 40, start).verdict;
  };
  CHECK(verdict(Sem{.key = 0, .cuid = 40}) == Verdict::suspect);
  CHECK(verdict(Sem{.key = 0, .uid = 40}) == Verdict::suspect);
  CHECK(verdict(Sem{.key = 0, .cuid = 41}) == Verdict::leaked);
  CHECK(verdict(Sem{.key = 5, .uid = 40, .cuid = 41}) == Verdict::leaked);
  CHECK(verdict(Sem{.key = 0, .cuid = 40}, made + 3) == Verdict::leaked);
  CHECK(judge_with(instance("Apache httpd", false), Sem{.key = 0, .cuid = 40}).verdict ==
        Verdict::leaked);
  CHECK(judge_with(owner, Shm{.key = 0, .cuid = 40}).verdict == Verdict::leaked);
}

TEST_CASE("everything of a living Oracle's or SAP's user is suspect", "[leaks]") {
  for (const char* software : {"Oracle", "SAP"}) {
    const Instance owner = instance(software, true);
    CHECK(judge_with(owner, Shm{.cuid = 40}).verdict == Verdict::suspect);
    CHECK(judge_with(owner, Sem{.uid = 40}).verdict == Verdict::suspect);
    CHECK(judge_with(owner, Posix{.uid = 40}).verdict == Verdict::suspect);
    CHECK(judge_with(owner, Shm{.cuid = 41}).verdict == Verdict::leaked);
    CHECK(judge_with(owner, Shm{.cuid = 0}, 0).verdict == Verdict::leaked);  // root is no sign
    CHECK(judge_with(instance(software, false), Shm{.cuid = 40}).verdict == Verdict::leaked);
  }
}

}  // namespace ipcscope
