// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/session.h"

#include <catch2/catch.hpp>
#include <set>
#include <string>

#include "tests/unit/fake_tree.h"

using namespace ipcscope;

namespace {

Snapshot take(const char* root) {
  const Result<ProcRoot> proc = ProcRoot::open(root);
  REQUIRE(proc);
  Request request;
  request.source = SourceChoice::proc;
  Result<Snapshot> snapshot = take_snapshot(request, *proc);
  REQUIRE(snapshot);
  return std::move(*snapshot);
}

const Channel* find(const Snapshot& snapshot, std::string_view id) {
  for (const Channel& channel : snapshot.channels) {
    if (channel.id == id) {
      return &channel;
    }
  }
  return nullptr;
}

}  // namespace

TEST_CASE("a snapshot of a fake tree joins what the mechanisms made", "[session]") {
  const Snapshot snapshot = take(IPCSCOPE_TEST_DATA "/proc-tree");
  CHECK_FALSE(snapshot.host.empty());
  CHECK_FALSE(snapshot.kernel.empty());
  CHECK(snapshot.time_ns > 0);

  REQUIRE(snapshot.process(100) != nullptr);
  CHECK(snapshot.process(100)->command() == "a) (b\n");
  CHECK(snapshot.process(100)->fd_count == 7U);
  CHECK(snapshot.threads_of(*snapshot.process(100)).size() == 2);

  // The records of two processes with one inode went to one stem, and became one channel.
  std::set<std::string> pids;
  size_t pipes = 0;
  for (const Channel& channel : snapshot.channels) {
    if (snapshot.attribute(channel, "inode") != nullptr &&
        snapshot.attribute(channel, "inode")->natural == 11072) {
      pipes++;
      for (const Endpoint& end : snapshot.endpoints_of(channel)) {
        pids.insert(std::to_string(snapshot.processes[end.process].pid) + " " +
                    std::string(role_name(end.role)));
      }
    }
  }
  CHECK(pipes == 1);
  CHECK(pids.count("100 reader") == 1);
  CHECK(pids.count("200 writer") == 1);
  // A socket that no process has open is a channel all the same.
  bool without_owner = false;
  for (const Endpoint& end : snapshot.endpoints) {
    without_owner = without_owner || end.process == no_index;
  }
  CHECK(without_owner);

  // Each source says what it saw, once.
  std::set<std::string> sources;
  for (const Coverage& each : snapshot.coverage) {
    CAPTURE(each.source);
    CHECK(sources.insert(each.source).second);
    CHECK((each.state == Coverage::State::full || !each.reason.empty()));
  }
  CHECK(sources.count("proc-task") == 1);
  CHECK(sources.count("proc-fd") == 1);
}

TEST_CASE("a snapshot's links stay within it", "[session]") {
  const Snapshot snapshot = take(IPCSCOPE_TEST_DATA "/proc-tree");
  std::set<std::string_view> ids;
  for (const Channel& channel : snapshot.channels) {
    CHECK(ids.insert(channel.id).second);
    CHECK(std::string(channel.id).find(std::string(kind_name(channel.kind)) + ":") == 0);
  }
  for (const Thread& thread : snapshot.threads) {
    CHECK(thread.process < snapshot.processes.size());
  }
  for (const Endpoint& end : snapshot.endpoints) {
    CHECK(end.channel < snapshot.channels.size());
    CHECK((end.process == no_index || end.process < snapshot.processes.size()));
  }
  for (const Wait& wait : snapshot.waits) {
    CHECK(wait.thread < snapshot.threads.size());
    CHECK((wait.channel == no_index || wait.channel < snapshot.channels.size()));
  }
}

TEST_CASE("a tree without processes is no failure", "[session]") {
  const FakeTree tree;
  const Snapshot snapshot = take(tree.path().c_str());
  CHECK(snapshot.processes.empty());
  CHECK(find(snapshot, "pipe:1") == nullptr);
}
