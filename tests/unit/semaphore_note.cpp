// SPDX-License-Identifier: GPL-2.0-or-later
#include "analysis/semaphore_note.h"

#include <catch2/catch.hpp>

#include "tests/unit/paper_host.h"

namespace ipcscope {

TEST_CASE("which semaphore it is, and who used it last", "[semaphore_note]") {
  Host host;
  host.single(10);
  host.single(812);
  host.name(1, "worker");
  const ChannelIndex set = host.channel(Kind::sem), blind = host.channel(Kind::sem);
  std::string json = "[";
  for (const auto& [value, pid] : {std::pair(2, 812), {0, 900}, {1, 0}}) {
    const size_t index = static_cast<size_t>(std::count(json.begin(), json.end(), '{'));
    json += (index == 0 ? "" : ",") + std::string("{\"index\":") + std::to_string(index) +
            ",\"value\":" + std::to_string(value) + ",\"pid\":" + std::to_string(pid) +
            ",\"increase_waiters\":1,\"zero_waiters\":0}";
  }
  host.builder().json(set, "semaphores", json + "]");
  host.builder().json(blind, "semaphores",
                      "[{\"index\":0,\"value\":null,\"pid\":null,\"increase_waiters\":null,\"zero_"
                      "waiters\":null}]");
  const Snapshot snapshot = host.take();
  const auto note = [&](std::vector<SemaphoreOperation> operations, ChannelIndex of = 0) {
    return semaphore_note(snapshot, snapshot.channels[of], operations);
  };
  CHECK(note({{0, -3}}) == "lower semaphore 0 (value 2) by 3; last operated on by worker[812]");
  CHECK(note({{1, -1}}) ==
        "lower semaphore 1 (value 0) by 1; last operated on by process 900, which has ended or is "
        "hidden");
  CHECK(note({{2, 0}}) == "wait for zero of semaphore 2 (value 1)");
  // All or none, one after the other: the first that is not possible.
  CHECK(note({{2, -1}, {1, -1}, {0, -9}}).starts_with("lower semaphore 1 "));
  CHECK(note({{0, -1}, {0, -1}, {0, -1}}).starts_with("lower semaphore 0 "));
  CHECK(note({{1, 1}, {1, 0}}).starts_with("wait for zero of semaphore 1 "));
  CHECK(note({{0, -1}, {2, -1}}).empty());  // nothing holds them up any more
  CHECK(note({}).empty());
  CHECK(note({{0, -1}}, blind) == "lower semaphore 0 by 1");
  CHECK(note({{0, -1}, {1, -1}}, blind).empty());
}

TEST_CASE("semaphores that somebody waits to lower", "[semaphore_note]") {
  const auto object = [](int index, const char* value, int pid, int waiters) {
    return "{\"index\":" + std::to_string(index) + ",\"value\":" + value +
           ",\"pid\":" + std::to_string(pid) + ",\"increase_waiters\":" + std::to_string(waiters) +
           ",\"zero_waiters\":2}";
  };
  const std::string json = "[" + object(0, "0", 812, 3) + "," + object(1, "1", 812, 1) + "," +
                           object(2, "0", 0, 1) + "," + object(3, "null", 812, 1) + "," +
                           object(4, "0", 900, 1) + "," + object(5, "0", 900, 0) + "]";
  const std::vector<AwaitedSemaphore> found = awaited_semaphores(json);
  REQUIRE(found.size() == 2);
  CHECK(found[0].semaphore == 0);
  CHECK(found[0].waiters == 3);
  CHECK(found[0].last_pid == 812);
  CHECK(found[1].semaphore == 4);
  CHECK(awaited_semaphores("[]").empty());
  CHECK(awaited_semaphores("[{\"index\":0").empty());
}

}  // namespace ipcscope
