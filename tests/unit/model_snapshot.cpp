// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/model/snapshot.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <set>
#include <string>

using namespace ipcscope;

TEST_CASE("every kind has a name of its own", "[model]") {
  std::set<std::string_view> names;
  for (size_t i = 0; i < kind_count; i++) {
    const auto kind = static_cast<Kind>(i);
    CHECK_FALSE(kind_name(kind).empty());
    names.insert(kind_name(kind));
    CHECK(kind_from_name(kind_name(kind)) == kind);
  }
  CHECK(names.size() == kind_count);
  CHECK(kind_name(Kind::unix_socket) == "unix");
  CHECK(kind_name(Kind::pty) == "pty");
  CHECK_FALSE(kind_from_name(""));
  CHECK_FALSE(kind_from_name("PIPE"));
}

TEST_CASE("every role has a name of its own", "[model]") {
  std::set<std::string_view> names;
  for (int i = 0; i <= static_cast<int>(Role::slave); i++) {
    names.insert(role_name(static_cast<Role>(i)));
  }
  CHECK(names.size() == static_cast<size_t>(Role::slave) + 1);
  CHECK(role_name(Role::slave) == "slave");
}

TEST_CASE("a command name may fill all its bytes", "[model]") {
  Process process;
  CHECK(process.command().empty());
  std::memcpy(process.comm, "0123456789abcdef", 16);
  CHECK(process.command() == "0123456789abcdef");
  Thread thread;
  std::memcpy(thread.comm, "a\nb", 4);
  CHECK(thread.command() == "a\nb");
}

TEST_CASE("processes and threads are found by number", "[model]") {
  Snapshot snapshot;
  for (const int pid : {1, 5, 9}) {
    Process process;
    process.pid = pid;
    process.first_thread = static_cast<uint32_t>(snapshot.threads.size());
    process.thread_count = 2;
    for (const int tid : {pid, pid + 100}) {
      Thread thread;
      thread.process = static_cast<ProcessIndex>(snapshot.processes.size());
      thread.tid = tid;
      snapshot.threads.push_back(thread);
    }
    snapshot.processes.push_back(process);
  }
  CHECK(snapshot.process(5) == &snapshot.processes[1]);
  CHECK(snapshot.process(4) == nullptr);
  CHECK(snapshot.process(10) == nullptr);
  for (const int tid : {1, 101, 5, 105, 9, 109}) {
    REQUIRE(snapshot.thread(tid) != nullptr);
    CHECK(snapshot.thread(tid)->tid == tid);
  }
  CHECK(snapshot.thread(2) == nullptr);
}
