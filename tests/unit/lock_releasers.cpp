// SPDX-License-Identifier: GPL-2.0-or-later
#include <catch2/catch.hpp>

#include "collectors/locks/releasers.h"
#include "tests/unit/fake_tree.h"

namespace ipcscope {

TEST_CASE("who could still end a wait at a private futex", "[lock_releasers]") {
  const FakeTree tree;
  const Result<ProcRoot> proc = ProcRoot::open(tree.path().c_str());
  REQUIRE(proc);
  CHECK_FALSE(releasers_left(*proc, 7));
  const auto thread = [&](int tid, const char* call) {
    tree.file("7/task/" + std::to_string(tid) + "/syscall", call);
  };
  // FUTEX_WAIT_BITSET and FUTEX_WAIT, both private, without a limit.
  thread(7, "202 0x7f0000001000 0x189 0x0 0x0 0x0 0xffffffff 0x7ffc00000000 0x7f0000000000\n");
  thread(8, "202 0x7f0000001004 0x80 0x2 0x0 0x0 0x0 0x7ffc00000000 0x7f0000000000\n");
  CHECK(releasers_left(*proc, 7) == 0U);
  SECTION("one with a limit goes on by itself") {
    thread(9, "202 0x7f0000001000 0x189 0x0 0x7ffc00001000 0x0 0xffffffff 0x7ffc0000 0x7f00\n");
    CHECK(releasers_left(*proc, 7) == 1U);
  }
  SECTION("one at a shared futex is woken by others") {
    thread(9, "202 0x7f0000001000 0x109 0x0 0x0 0x0 0xffffffff 0x7ffc00000000 0x7f0000000000\n");
    CHECK(releasers_left(*proc, 7) == 1U);
  }
  SECTION("one that runs, or waits for something else") {
    thread(9, "running\n");
    thread(10, "0 0x3 0x7ffc00000000 0x400 0x0 0x0 0x0 0x7ffc00000000 0x7f0000000000\n");
    CHECK(releasers_left(*proc, 7) == 2U);
  }
}

}  // namespace ipcscope
