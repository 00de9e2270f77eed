// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/filter.h"

#include <catch2/catch.hpp>

#include "cli/arguments.h"
#include "cli/show_report.h"
#include "tests/unit/fake_tree.h"
#include "tests/unit/render_harness.h"

namespace ipcscope {

namespace {

/// 0 pipe of a and b; 1 unix with a name, of b; 2 shm of user 5 that nobody has.
Snapshot scene() {
  Scene scene;
  const auto a = scene.process("a", 0, 5);
  const auto b = scene.process("b", 0, 6);
  const auto pipe = scene.builder.add_channel(Kind::pipe, "pipe:1");
  scene.builder.natural(pipe, "inode", 1);
  scene.end(pipe, a, Role::writer);
  scene.end(pipe, b, Role::reader);
  scene.wait(pipe, b, "read");
  const auto socket = scene.builder.add_channel(Kind::unix_socket, "unix:7", "/run/dbus/s");
  scene.builder.natural(socket, "inode", 7);
  scene.builder.natural(socket, "peer_inode", 8);
  scene.end(socket, b, Role::peer);
  const auto shm = scene.builder.add_channel(Kind::shm, "shm:8");
  scene.builder.channel(shm).uid = 5;
  return scene.builder.finish();
}

using Found = std::vector<ChannelIndex>;

}  // namespace

TEST_CASE("filters", "[filter]") {
  const FakeTree tree;
  tree.file("1/cgroup", "0::/user.slice/a.scope\n");
  tree.file("2/cgroup", "12:cpu,cpuacct:/docker/x\n0::/system.slice/b:c.service\n");
  const Result<ProcRoot> proc = ProcRoot::open(tree.path().c_str());
  REQUIRE(proc);
  const Snapshot snapshot = scene();
  ChannelFilter filter;
  const auto found = [&] { return filter.select(snapshot, *proc); };

  CHECK(found() == Found{0, 1, 2});
  SECTION("kinds") {
    filter.kinds.set(static_cast<size_t>(Kind::shm));
    CHECK(found() == Found{2});
  }
  SECTION("processes") {
    filter.pids = {1};
    CHECK(found() == Found{0});
    filter.pids = {1, 2};
    CHECK(found() == Found{0, 1});
  }
  SECTION("blocked") {
    filter.blocked = true;
    CHECK(found() == Found{0});
  }
  SECTION("name or id") {
    filter.name = "/run/*";
    CHECK(found() == Found{1});
    filter.name = "shm:?";
    CHECK(found() == Found{2});
    filter.name = "run";
    CHECK(found().empty());
  }
  SECTION("user, and what the user owns without having it open") {
    filter.user = 5;
    CHECK(found() == Found{0, 2});
    filter.user = 6;
    CHECK(found() == Found{0, 1});
  }
  SECTION("cgroup, by a part or a pattern") {
    filter.cgroup = "b:c.service";
    CHECK(found() == Found{0, 1});
    filter.cgroup = "*/a.scope";
    CHECK(found() == Found{0});
    filter.cgroup = "docker";
    CHECK(found() == Found{0, 1});
  }
  SECTION("one process has to satisfy all") {
    filter.user = 5;
    filter.cgroup = "b:c";
    CHECK(found().empty());
  }
}

TEST_CASE("what a word means to show", "[show]") {
  const Snapshot snapshot = scene();
  CHECK(matching_channels(snapshot, "pipe:1") == Found{0});
  CHECK(matching_channels(snapshot, "unix:8") == Found{1});  // the other end of the pair
  CHECK(matching_channels(snapshot, "8") == Found{1, 2});
  CHECK(matching_channels(snapshot, "/run/dbus/s") == Found{1});
  CHECK(matching_channels(snapshot, "unix:/run/dbus/s") == Found{1});
  CHECK(matching_channels(snapshot, "unix:9").empty());
  CHECK(matching_channels(snapshot, "tcp:1").empty());
  CHECK(matching_channels(snapshot, "").empty());
}

TEST_CASE("an escaped id can be pasted back", "[show]") {
  Scene scene;
  scene.builder.add_channel(Kind::fifo, "fifo:/a\n\xff\\", "/a\n\xff\\");
  const Snapshot snapshot = scene.builder.finish();
  CHECK(matching_channels(snapshot, "fifo:/a\\n\\xff\\\\") == Found{0});
  CHECK(matching_channels(snapshot, "fifo:/a\n\xff\\") == Found{0});
}

TEST_CASE("process numbers", "[arguments]") {
  CHECK(*parse_pids({"1,2", "3"}) == std::vector<pid_t>{1, 2, 3});
  CHECK_FALSE(parse_pids({"1,"}));
  CHECK_FALSE(parse_pids({"x"}));
  CHECK_FALSE(parse_pids({"-1"}));
  CHECK_FALSE(parse_pids({"99999999999"}));
}

}  // namespace ipcscope
