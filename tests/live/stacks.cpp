// SPDX-License-Identifier: GPL-2.0-or-later
// User stacks of running programs whose functions are known.
#include "collectors/stacks.h"

#include <fmt/format.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <fstream>
#include <sstream>

#include "tests/live/program.h"

using namespace ipcscope;
using namespace ipcscope::live;

namespace {

constexpr const char* chain[] = {"lower_anchor", "deck::Ship::load(int)",
                                 "deck::harbour(deck::Ship&, int)"};

/// A running stacks_target: one of the variants it is built in.
struct Target {
  explicit Target(const std::string& variant, int threads = 1, std::vector<std::string> under = {},
                  bool restless = false)
      : program([&] {
          under.push_back(std::string(IPCSCOPE_STACKS_TARGET) + variant);
          under.push_back(std::to_string(threads));
          if (restless) {
            under.emplace_back("restless");
          }
          return under;
        }()) {
    std::istringstream line(program.read_line(Seconds(20)));
    line >> pid;
    for (int tid = 0; line >> tid;) {
      tids.push_back(tid);
    }
    // They have counted themselves before they wait.
    for (const int tid : tids) {
      wait_until_blocked(tid);
    }
  }
  ~Target() { program.end(); }

  void wait_until_blocked(int tid) const {
    for (int round = 0; round < 2000; round++) {
      std::ifstream file(fmt::format("/proc/{}/task/{}/syscall", pid, tid));
      std::string word;
      if (file >> word && word != "running") {
        return;
      }
      ::usleep(1000);
    }
    FAIL("thread " << tid << " does not block");
  }

  Program program;
  int pid = 0;
  std::vector<int> tids;
};

std::string text_of(const UserStack& stack) {
  std::string text =
      fmt::format("{} {}{}\n", stack.tid, stack.complete ? "complete" : "ends: ", stack.problem);
  for (const Frame& frame : stack.frames) {
    text += fmt::format("  {:x} {}+{:#x} {}+{:#x} {}:{}\n", frame.address, frame.function,
                        frame.offset, frame.object, frame.object_offset, frame.file, frame.line);
  }
  return text;
}

/// How many functions of the chain are there, one right after the other and from the first on.
size_t chain_length(const UserStack& stack) {
  const auto first = std::find_if(stack.frames.begin(), stack.frames.end(),
                                  [](const Frame& frame) { return frame.function == chain[0]; });
  size_t length = 0;
  for (auto each = first; each != stack.frames.end() && length < std::size(chain); ++each) {
    if (each->function != chain[length]) {
      break;
    }
    length++;
  }
  return length;
}

ProcRoot proc_root() {
  Result<ProcRoot> proc = ProcRoot::open();
  REQUIRE(proc);
  return std::move(*proc);
}

}  // namespace

TEST_CASE("stacks of known functions") {
  const ProcRoot proc = proc_root();
  const std::string variant = GENERATE("", "-static", "-frame-pointers", "-no-pie", "-stripped");
  const bool use_bpf = GENERATE(true, false);
  const Target target(variant);
  StackLimits limits;
  limits.use_bpf = use_bpf;
  StackReader reader(proc, limits);
  const auto stacks = reader.stacks(target.pid, target.tids);
  REQUIRE(stacks);
  REQUIRE(stacks->size() == 1);
  const UserStack& stack = stacks->front();
  CAPTURE(variant, use_bpf);
  INFO(text_of(stack));
  if (variant == "-stripped") {
    // Without names: the frames are there, in its own object.
    CHECK(std::count_if(stack.frames.begin(), stack.frames.end(), [](const Frame& frame) {
            return frame.object.ends_with("stacks-target-stripped");
          }) >= (use_bpf ? 3 : 2));
  } else {
    // load() needs rbp to find its caller, and with frame pointers each function does.
    const size_t length = use_bpf ? 3 : variant == "-frame-pointers" ? 1 : 2;
    CHECK(chain_length(stack) >= length);
    const auto inner = std::find_if(stack.frames.begin(), stack.frames.end(),
                                    [](const Frame& frame) { return frame.function == chain[0]; });
    REQUIRE(inner != stack.frames.end());
    CHECK(inner->file.ends_with("stacks_target.cpp"));
    CHECK(inner->line > 0);
  }
  CHECK(stack.complete == use_bpf);
  CHECK(stack.problem == (use_bpf ? "" : "the next frame needs a register that only BPF can tell"));
  CHECK(runtime_of(stack).empty());
}

TEST_CASE("stack of the main thread", "[kernels]") {
  const ProcRoot proc = proc_root();
  const Target target("");
  const std::vector<int> tids = {target.pid};
  target.wait_until_blocked(target.pid);
  const auto stacks = user_stacks(proc, target.pid, tids);
  REQUIRE(stacks);
  const UserStack& stack = stacks->front();
  INFO(text_of(stack));
  REQUIRE(stack.complete);
  CHECK(stack.frames.front().object.find("libc") != std::string::npos);
  CHECK(stack.frames.back().function == "_start");
  CHECK(std::count_if(stack.frames.begin(), stack.frames.end(),
                      [](const Frame& frame) { return frame.function == "main"; }) == 1);
}

TEST_CASE("names of addresses", "[kernels]") {
  const ProcRoot proc = proc_root();
  const Target target("");
  StackReader reader(proc);
  // The first argument of the futex call is the lock.
  std::ifstream file(fmt::format("/proc/{}/task/{}/syscall", target.pid, target.tids.front()));
  std::string number;
  uint64_t lock = 0;
  file >> number >> std::hex >> lock;
  REQUIRE(lock != 0);
  CHECK(reader.name_of_address(target.pid, lock) == "anchor_lock");
  CHECK(reader.name_of_address(target.pid, lock + 4) == "anchor_lock+0x4");
  std::ifstream maps(fmt::format("/proc/{}/maps", target.pid));
  for (std::string line; std::getline(maps, line);) {
    if (line.ends_with("[heap]")) {
      const uint64_t start = std::stoull(line, nullptr, 16);
      CHECK(reader.name_of_address(target.pid, start + 0x40) == "[heap]+0x40");
    }
  }
  CHECK(name_of_address(proc, target.pid, 8).empty());

  // The vDSO has no file: it is read from memory, here from our own.
  const uint64_t vdso = ::getauxval(AT_SYSINFO_EHDR);
  REQUIRE(vdso != 0);
  bool has_clock = false;
  for (uint64_t at = vdso; at < vdso + 8192 && !has_clock; at += 16) {
    has_clock = reader.name_of_address(::getpid(), at).find("clock_gettime") != std::string::npos;
  }
  CHECK(has_clock);
}

TEST_CASE("stacks of a deleted program in another mount namespace") {
  const ProcRoot proc = proc_root();
  // On a tmpfs that only its namespace has, and then without a name.
  const char* const script =
      "mount -t tmpfs ipcscope-test-stacks /mnt && cp \"$0\" /mnt/moved && "
      "{ { sleep 0.2; rm /mnt/moved; } & exec /mnt/moved \"$1\"; }";
  const Target target("", 1, {"unshare", "--mount", "sh", "-c", script});
  const std::string link = fmt::format("/proc/{}/exe", target.pid);
  char path[4096] = {};
  for (int round = 0; round < 2000 && !std::string_view(path).ends_with(" (deleted)"); round++) {
    ::usleep(1000);
    REQUIRE(::readlink(link.c_str(), path, sizeof path - 1) > 0);
  }
  REQUIRE(std::string_view(path) == "/mnt/moved (deleted)");
  const auto stacks = user_stacks(proc, target.pid, target.tids);
  REQUIRE(stacks);
  INFO(text_of(stacks->front()));
  CHECK(stacks->front().complete);
  CHECK(chain_length(stacks->front()) == 3);
}

TEST_CASE("stacks of a hundred threads") {
  const ProcRoot proc = proc_root();
  const bool use_bpf = GENERATE(true, false);
  const Target target("", 100);
  REQUIRE(target.tids.size() == 100);
  StackLimits limits;
  limits.use_bpf = use_bpf;
  const auto start = std::chrono::steady_clock::now();
  const auto stacks = StackReader(proc, limits).stacks(target.pid, target.tids);
  const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - start;
  REQUIRE(stacks);
  size_t whole = 0;
  size_t right = 0;
  for (const UserStack& stack : *stacks) {
    whole += stack.complete ? 1 : 0;
    right += chain_length(stack) == (use_bpf ? 3 : 2) ? 1 : 0;
  }
  fmt::print("100 threads, {}: {:.1f} ms, {} complete\n", use_bpf ? "bpf" : "proc", time.count(),
             whole);
  INFO(text_of(stacks->front()));
  CHECK(right == 100);
  CHECK(whole == (use_bpf ? 100 : 0));

  limits.threads = 10;
  limits.frames = 2;
  const auto few = StackReader(proc, limits).stacks(target.pid, target.tids);
  REQUIRE(few);
  CHECK(few->at(9).frames.size() == 2);
  CHECK(few->at(9).problem == "more than 2 functions");
  CHECK(few->at(10).frames.empty());
  CHECK(few->at(10).problem == "more threads than are looked at");
}

TEST_CASE("stacks of threads that move") {
  const ProcRoot proc = proc_root();
  const bool use_bpf = GENERATE(true, false);
  const Target target("", 4, {}, true);
  StackLimits limits;
  limits.use_bpf = use_bpf;
  StackReader reader(proc, limits);
  int right = 0;
  int moved = 0;
  for (int round = 0; round < 200; round++) {
    const auto stacks = reader.stacks(target.pid, target.tids);
    REQUIRE(stacks);
    for (const UserStack& stack : *stacks) {
      INFO(text_of(stack));
      if (stack.problem == "it is running" || stack.problem == "moved meanwhile") {
        CHECK_FALSE(stack.complete);
        CHECK((stack.problem != "it is running" || stack.frames.empty()));
        moved++;
        continue;
      }
      // Where it did not move, it is a stack that was there.
      CHECK(stack.complete == use_bpf);
      CHECK(chain_length(stack) == (use_bpf ? 3 : 2));
      right++;
    }
  }
  fmt::print("200 looks at 4 moving threads, {}: {} stacks, {} moved or running\n",
             use_bpf ? "bpf" : "proc", right, moved);
  CHECK(right > 0);
}
