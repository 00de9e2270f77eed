// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/proc/task_files.h"

#include <catch2/catch.hpp>
#include <string>

using namespace ipcscope;

namespace {

const std::string after_name =
    " S 6299 6348 6299 0 -1 4194304 94 0 0 0 1 2 0 0 20 0 3 0 144634 3133440 438 "
    "18446744073709551615 94860 94870 140726 0 0 0 0 0 0 0 0 0 17 5 0 0 0 0 0 0 0 0 0 0 0 0 0\n";

}  // namespace

TEST_CASE("stat: the name ends at the last parenthesis", "[proc]") {
  const std::string text = "6348 (a) R 1 (b\n)" + after_name;
  const auto stat = parse_stat(text);
  REQUIRE(stat);
  CHECK(stat->comm == "a) R 1 (b\n");
  CHECK(stat->state == 'S');
  CHECK(stat->ppid == 6299);
  CHECK(stat->threads == 3);
  CHECK(stat->start_ticks == 144634);
  CHECK(stat->virtual_bytes == 3133440);
  CHECK(stat->resident_pages == 438);
  CHECK(stat->start_code == 94860);
  CHECK(stat->start_stack == 140726);
  CHECK(stat->processor == 5);
  CHECK_FALSE(stat->kernel_thread());
}

TEST_CASE("stat: what is cut off is no stat", "[proc]") {
  const std::string text = "1 (x)" + after_name;
  const size_t processor = text.find(" 17 5 ") + 5;
  for (size_t length = 0; length < text.size(); length++) {
    const bool complete = length >= processor;
    CHECK(parse_stat(std::string_view(text).substr(0, length)).has_value() == complete);
  }
  CHECK_FALSE(parse_stat(")("));
}

TEST_CASE("status: user, tracer and innermost namespace", "[proc]") {
  const TaskStatus status = parse_status(
      "Name:\tUid:\nTracerPid:\t77\nUid:\t1\t1000\t2\t3\nNSpid:\t6348\t12\t7\nVmPeak:\t1 kB\n");
  CHECK(status.uid == 1000U);
  CHECK(status.uids == std::array<uint32_t, 4>{1, 1000, 2, 3});
  CHECK(status.tracer == 77);
  CHECK(status.ns_pid == 7);
  CHECK(status.nested);
  const TaskStatus flat = parse_status("Uid:\t0\t0\t0\t0\nNSpid:\t6348\n");
  CHECK_FALSE(flat.nested);
  CHECK_FALSE(parse_status("").uid);
  CHECK_FALSE(parse_status("Uid:\t0\t0\t0\n").uid);
}

TEST_CASE("syscall: in a call, outside of one, running, cut off", "[proc]") {
  const auto call = parse_syscall(
      "202 0x7f7a9e387000 0x80 0x0 0xffffffffffffffff 0x4 0x5 0x7ffc1ecb9438 0x7f7a9e5012ad\n");
  REQUIRE(call);
  CHECK(call->number == 202);
  CHECK(call->args[0] == 0x7f7a9e387000);
  CHECK(call->args[3] == UINT64_MAX);
  CHECK(call->stack == 0x7ffc1ecb9438);
  CHECK(call->instruction == 0x7f7a9e5012ad);
  const auto outside = parse_syscall("-1 0x7ffc1ecb9438 0x7f7a9e5012ad\n");
  REQUIRE(outside);
  CHECK(outside->number == -1);
  CHECK(outside->stack == 0x7ffc1ecb9438);
  const auto running = parse_syscall("running\n");
  REQUIRE(running);
  CHECK(running->number == -1);
  CHECK_FALSE(parse_syscall("202 0x7f7a"));
  CHECK_FALSE(parse_syscall(""));
}

TEST_CASE("sched: times in ns, and a name that imitates a key", "[proc]") {
  const TaskSched sched = parse_sched(
      "se.exec_start : 1.000001 (1, #threads: 1)\n---\n"
      "se.exec_start                                :       1446269.371846\n"
      "se.vruntime                                  :           154.910956\n"
      "nr_switches                                  :                   67\n");
  CHECK(sched.exec_start_ns == 1446269371846U);
  CHECK(sched.switches == 67U);
  CHECK_FALSE(parse_sched("x\nse.exec_start : 12.34\n").exec_start_ns);
  CHECK_FALSE(parse_sched("x\nse.exec_start : -1.000000\n").exec_start_ns);
}
