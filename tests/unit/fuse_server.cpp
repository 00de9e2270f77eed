// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/fuse_server.h"

#include <fmt/format.h>

#include <catch2/catch.hpp>

#include "tests/unit/fake_tree.h"

namespace ipcscope {
namespace {

constexpr const char* one_mount =
    "20 1 0:30 / / rw - ext4 /dev/sda rw\n"
    "31 20 0:44 / /mnt/a rw - fuse.sshfs host: rw\n";
constexpr const char* two_mounts =
    "20 1 0:30 / / rw - ext4 /dev/sda rw\n"
    "31 20 0:44 / /mnt/a rw - fuse.sshfs host: rw\n"
    "32 20 0:55 / /mnt/b rw - fuse thing rw\n";

/// A process with /dev/fuse open; connection 0: a kernel that does not tell it.
void add_server(const FakeTree& tree, int pid, unsigned connection) {
  tree.link(fmt::format("{}/fd/5", pid), "/dev/fuse");
  tree.link(fmt::format("{}/fd/6", pid), "/dev/null");
  tree.file(fmt::format("{}/fdinfo/5", pid),
            connection == 0
                ? "pos:\t0\nmnt_id:\t9\n"
                : fmt::format("pos:\t0\nmnt_id:\t9\nfuse_connection:\t{}\n", connection));
}

void add_client(const FakeTree& tree, const char* mounts, int mount = 31) {
  tree.file("7/mountinfo", mounts);
  tree.file("7/fd/3", "");
  tree.file("7/fdinfo/3", fmt::format("pos:\t0\nflags:\t02\nmnt_id:\t{}\n", mount));
}

std::optional<int> found(const FakeTree& tree, std::optional<int> fd = {}) {
  const auto proc = ProcRoot::open(tree.path().c_str());
  REQUIRE(proc);
  return find_fuse_server(*proc, 7, fd);
}

}  // namespace

TEST_CASE("the server of the only FUSE file system", "[fuse_server]") {
  const FakeTree tree;
  add_client(tree, one_mount);
  CHECK_FALSE(found(tree));
  add_server(tree, 40, 44);
  add_server(tree, 50, 55);
  CHECK(found(tree) == 40);
  CHECK(found(tree, 3) == 40);
  add_server(tree, 41, 44);  // which of the two answers is not known
  CHECK_FALSE(found(tree));
}

TEST_CASE("of several FUSE file systems that of the file", "[fuse_server]") {
  const FakeTree tree;
  add_client(tree, two_mounts, 32);
  add_server(tree, 40, 44);
  add_server(tree, 50, 55);
  CHECK_FALSE(found(tree));
  CHECK(found(tree, 3) == 50);
  CHECK_FALSE(found(tree, 4));  // closed
  add_client(tree, two_mounts, 77);
  CHECK_FALSE(found(tree, 3));  // of another mount namespace
}

TEST_CASE("without a number in fdinfo the only server there is", "[fuse_server]") {
  const FakeTree tree;
  add_client(tree, one_mount);
  add_server(tree, 40, 0);
  CHECK(found(tree) == 40);
  SECTION("a second one") {
    add_server(tree, 50, 0);
    CHECK_FALSE(found(tree));
  }
  SECTION("a process that cannot be seen") {
    tree.file("60/status", "Name:\tx\n");
    CHECK_FALSE(found(tree));
  }
}

}  // namespace ipcscope
