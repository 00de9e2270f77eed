// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/second_look.h"

#include <catch2/catch.hpp>

#include "tests/unit/fake_tree.h"

namespace ipcscope {

TEST_CASE("a thread that was not switched has not moved", "[second_look]") {
  const FakeTree tree;
  tree.file("5/task/6/status",
            "Name:\ta\nvoluntary_ctxt_switches:\t10\nnonvoluntary_ctxt_switches:\t2\n");
  tree.file("5/task/6/syscall", "202 0x7f00 0x80 0x2 0x0 0x0 0x0 0x7ffd 0x7f11\n");
  tree.file("5/task/7/status", "Name:\ta\n");
  tree.file("5/task/7/syscall", "running\n");
  tree.file("5/task/8/status", "Name:\ta\n");
  const Result<ProcRoot> proc = ProcRoot::open(tree.path().c_str());
  REQUIRE(proc);
  Snapshot snapshot;
  snapshot.processes.emplace_back().pid = 5;
  Thread thread;
  thread.process = 0;
  thread.tid = 6;
  thread.syscall = 202;
  thread.args[0] = 0x7f00;
  thread.args[1] = 0x80;
  thread.args[2] = 2;
  thread.switches = 12;
  CHECK(look_again(*proc, snapshot, thread) == Motion::still);
  thread.switches = 11;
  CHECK(look_again(*proc, snapshot, thread) == Motion::moved);
  SECTION("where switches are not known, by its system call") {
    thread.switches = {};
    CHECK(look_again(*proc, snapshot, thread) == Motion::still);
    thread.args[0] = 0x7f04;
    CHECK(look_again(*proc, snapshot, thread) == Motion::moved);
    thread.tid = 7;
    CHECK(look_again(*proc, snapshot, thread) == Motion::moved);
    thread.tid = 8;
    CHECK(look_again(*proc, snapshot, thread) == Motion::unknown);
  }
  SECTION("it has ended") {
    thread.tid = 9;
    CHECK(look_again(*proc, snapshot, thread) == Motion::moved);
  }
}

}  // namespace ipcscope
