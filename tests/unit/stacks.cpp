// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/stacks.h"

#include <catch2/catch.hpp>

#include "collectors/stacks/address_space.h"
#include "collectors/stacks/registers.h"
#include "tests/unit/fake_tree.h"

using namespace ipcscope;

TEST_CASE("names of functions", "[stacks]") {
  CHECK(demangled("main") == "main");
  CHECK(demangled("pthread_mutex_lock@@GLIBC_2.2.5") == "pthread_mutex_lock");
  CHECK(demangled("_ZN4deck4Ship4loadEi") == "deck::Ship::load(int)");
  CHECK(demangled("_ZN4deck4Ship4loadEi.isra.0") == "deck::Ship::load(int)");
  CHECK(demangled("do_work.constprop.0.cold") == "do_work");
  CHECK(demangled(".cold") == ".cold");
  CHECK(demangled("_ZN3std6thread4park17h0123456789abcdefE") == "std::thread::park");
  CHECK(demangled("_ZN3std6thread4park17hnothexnothexnotxE") ==
        "std::thread::park::hnothexnothexnotx");
  CHECK(demangled("_Znot a mangled name") == "_Znot a mangled name");
  CHECK(demangled("").empty());
}

namespace {

UserStack stack_of(std::initializer_list<std::pair<const char*, const char*>> frames) {
  UserStack stack;
  for (const auto& [function, object] : frames) {
    Frame& frame = stack.frames.emplace_back();
    frame.function = function;
    frame.object = object;
  }
  return stack;
}

constexpr const char* c_library = "/usr/lib/libc.so.6";

}  // namespace

TEST_CASE("runtimes by their functions", "[stacks]") {
  CHECK(runtime_of(UserStack()).empty());
  CHECK(runtime_of(stack_of({{"__GI___lll_lock_wait", c_library}, {"main", "/bin/a"}})).empty());
  CHECK(runtime_of(stack_of(
            {{"runtime.futex.abi0", "/bin/a"}, {"runtime.futexsleep", "/bin/a"}})) == "Go");
  CHECK(runtime_of(stack_of({{"syscall", c_library},
                             {"std::sys::sync::mutex::futex::Mutex::lock_contended", "/bin/a"}})) ==
        "Rust");
  CHECK(runtime_of(stack_of({{"syscall", c_library},
                             {"_RNvMs_NtCs1_11parking_lot9raw_mutex", "/bin/a"}})) == "Rust");
  CHECK(runtime_of(stack_of(
            {{"pthread_cond_wait", c_library}, {"Unsafe_Park", "/jdk/libjvm.so"}})) == "Java");
  CHECK(runtime_of(stack_of({{"pthread_cond_wait", c_library}, {"", "/jdk/libjvm.so"}})) == "Java");
  CHECK(runtime_of(stack_of({{"sem_clockwait", c_library}, {"PyThread_acquire_lock_timed", ""}})) ==
        "Python");
  CHECK(runtime_of(stack_of({{"epoll_wait", c_library},
                             {"uv__io_poll", "/usr/bin/node"},
                             {"node::SpinEventLoop(node::Environment*)", "/usr/bin/node"}})) ==
        "Node");
  // An extension in another language: the innermost one is what waits.
  CHECK(runtime_of(stack_of({{"syscall", c_library},
                             {"std::thread::park", "/lib/x.so"},
                             {"_PyEval_EvalFrameDefault", "/usr/bin/python3"}})) == "Rust");
  // A C++ function whose name only contains the word.
  CHECK(runtime_of(stack_of({{"my_runtime.futex", "/bin/a"}, {"take_gills", "/bin/fish"}})) !=
        "Go");
}

TEST_CASE("programs among the mappings", "[stacks]") {
  const FakeTree tree;
  tree.file("7/mountinfo",
            "21 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
            "22 21 0:40 / /far rw - nfs4 server:/ rw\n"
            "23 22 8:2 / /far/near rw - ext4 /dev/sda2 rw\n");
  tree.file("7/maps",
            "00400000-00401000 r--p 00000000 08:01 100 /bin/a\n"
            "00401000-00402000 r-xp 00001000 08:01 100 /bin/a\n"
            "00402000-00403000 rw-p 00002000 08:01 100 /bin/a\n"
            "00403000-00404000 rw-p 00000000 00:00 0 \n"
            "00500000-00521000 rw-p 00000000 00:00 0 [heap]\n"
            "7f0000000000-7f0000001000 r--p 00000000 08:01 200 /lib/data\n"
            "7f0000001000-7f0000002000 r--p 00000000 08:01 200 /lib/data\n"
            "7f0000003000-7f0000004000 r--p 00000000 08:01 200 /lib/data\n"
            "7f0000010000-7f0000012000 r-xp 00000000 00:40 300 /far/lib.so\n"
            "7f0000020000-7f0000022000 r-xp 00000000 00:99 400 /bin/layer\n"
            "7f0000030000-7f0000032000 r-xp 00000000 00:99 500 /far/near/layer\n"
            "7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0 [stack]\n"
            "7ffc00100000-7ffc00102000 r-xp 00000000 00:00 0 [vdso]\n"
            "nonsense\n");
  const Result<ProcRoot> proc = ProcRoot::open(tree.path().c_str());
  REQUIRE(proc);
  Result<AddressSpace> space = AddressSpace::open(*proc, 7);
  REQUIRE(space);
  REQUIRE(space->mappings().size() == 13);
  const auto& modules = space->modules();
  REQUIRE(modules.size() == 7);
  CHECK(modules[0].first == 0);
  CHECK(modules[0].last == 2);  // without what follows it and has no file
  CHECK(modules[0].executable);
  CHECK_FALSE(modules[1].executable);  // mapped two times side by side, and once more
  CHECK(modules[1].last == 6);
  CHECK(modules[2].first == 7);
  CHECK(space->mappings()[modules[6].first].path == "[vdso]");
  CHECK(modules[6].executable);

  CHECK(space->find(0x3fffff) == nullptr);
  CHECK(space->find(0x400000)->path == "/bin/a");
  CHECK(space->find(0x403fff)->path.empty());
  CHECK(space->find(0x404000) == nullptr);
  CHECK(space->find(0x7f0000002000) == nullptr);

  CHECK(space->find(0x400000)->local);
  CHECK(space->find(0x500000)->local);
  CHECK_FALSE(space->find(0x7f0000010000)->local);  // NFS
  CHECK(space->find(0x7f0000020000)->local);        // by its path
  // The way to it leads over NFS.
  CHECK_FALSE(space->find(0x7f0000030000)->local);

  // There is no memory behind a fake tree, and none of our own is taken for it.
  char byte = 0;
  CHECK_FALSE(space->read(0x400000, &byte, 1));
  CHECK_FALSE(space->open_file(modules[0]));
  CHECK(space->image(modules[0]).empty());
  CHECK_FALSE(AddressSpace::open(*proc, 8));

  StackReader reader(*proc);
  CHECK(reader.name_of_address(7, 0x500040) == "[heap]+0x40");
  CHECK(reader.name_of_address(7, 0x7f0000003040) == "/lib/data+0x40");
  CHECK(reader.name_of_address(7, 0x404000).empty());
}

TEST_CASE("registers of a thread that /proc tells", "[stacks]") {
  const FakeTree tree;
  tree.file("7/task/7/syscall", "202 0x1 0x80 0x2 0x0 0x0 0x0 0x7ffc00000100 0x401234\n");
  tree.file("7/task/7/status",
            "Name:\ta\nvoluntary_ctxt_switches:\t40\nnonvoluntary_ctxt_switches:\t2\n");
  tree.file("7/task/8/syscall", "running\n");
  const Result<ProcRoot> proc = ProcRoot::open(tree.path().c_str());
  REQUIRE(proc);
  RegisterReader reader(*proc, true);
  const std::vector<int> tids = {7, 8, 9};
  const auto before = reader.read(7, tids);
  REQUIRE(before.size() == 3);
  CHECK(before[0].known == ThreadRegisters::Known::stack_and_pc);
  CHECK(before[0].instruction == 0x401234);
  CHECK(before[0].stack() == 0x7ffc00000100);
  CHECK(before[0].switches == 42);
  CHECK(before[1].running);
  CHECK(before[1].known == ThreadRegisters::Known::nothing);
  CHECK(before[2].tid == 9);
  CHECK_FALSE(before[2].running);
  CHECK(before[2].known == ThreadRegisters::Known::nothing);

  CHECK(before[0].slept_until(reader.read(7, tids)[0]));
  tree.file("7/task/7/status", "voluntary_ctxt_switches:\t41\nnonvoluntary_ctxt_switches:\t2\n");
  CHECK_FALSE(before[0].slept_until(reader.read(7, tids)[0]));
  tree.file("7/task/7/syscall", "running\n");
  CHECK_FALSE(before[0].slept_until(reader.read(7, tids)[0]));
}
