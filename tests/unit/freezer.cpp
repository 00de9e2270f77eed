// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/freezer.h"

#include <catch2/catch.hpp>

#include "collectors/process_facts.h"
#include "tests/unit/fake_tree.h"

namespace ipcscope {

TEST_CASE("a process is frozen with its control group", "[freezer]") {
  const FakeTree tree;
  tree.file("5/cgroup", "0::/a b/c:d\n");
  tree.file("6/cgroup", "0::/thawed\n");
  tree.file("7/cgroup", "3:freezer:/old\n1:name=systemd:/x\n0::/thawed\n");
  tree.file("8/cgroup", "0::/both\n");
  tree.file("9/cgroup", "nonsense\n");
  tree.file("groups/a b/c:d/cgroup.events", "populated 1\nfrozen 1\n");
  tree.file("groups/thawed/cgroup.events", "populated 1\nfrozen 0\n");
  tree.file("groups/freezer/old/freezer.state", "FROZEN\n");
  tree.file("groups/unified/both/cgroup.events", "frozen 1\n");
  const Result<ProcRoot> proc = ProcRoot::open(tree.path().c_str());
  REQUIRE(proc);
  Freezer freezer(*proc, tree.path() + "/groups");
  CHECK(freezer.is_frozen(5));
  CHECK_FALSE(freezer.is_frozen(6));
  CHECK(freezer.is_frozen(7));
  CHECK(freezer.is_frozen(8));
  CHECK_FALSE(freezer.is_frozen(9));
  CHECK_FALSE(freezer.is_frozen(10));
}

TEST_CASE("signals that a process catches from outside", "[freezer]") {
  const FakeTree tree;
  // 11 is SIGSEGV, 32 and 33 are the C library's, 2 is SIGINT.
  tree.file("5/status", "Name:\ta\nSigCgt:\t0000000180000400\n");
  tree.file("6/status", "Name:\ta\nSigCgt:\t0000000180000402\n");
  tree.file("7/status", "Name:\ta\n");
  const Result<ProcRoot> proc = ProcRoot::open(tree.path().c_str());
  REQUIRE(proc);
  CHECK(read_caught_signals(*proc, 5) == SignalSet{0});
  CHECK(read_caught_signals(*proc, 6) == SignalSet{2});
  CHECK_FALSE(read_caught_signals(*proc, 7));
  CHECK_FALSE(read_caught_signals(*proc, 8));
}

}  // namespace ipcscope
