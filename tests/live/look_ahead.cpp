// SPDX-License-Identifier: GPL-2.0-or-later
// On a large host the walk loads what it comes to next. It must see the same there as elsewhere.
#include <catch2/catch.hpp>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "collectors/bpf_source.h"
#include "tests/live/running_fixture.h"

using namespace ipcscope;
using namespace ipcscope::live;

namespace {

/// What a walk tells about the files of these processes, byte by byte, on a host of this size.
std::vector<std::string> files_of(const std::set<int>& pids, size_t host_files) {
  const Request request;
  const auto source = open_bpf_source(request, {.files = host_files, .descriptors = 0});
  REQUIRE(source);
  std::vector<std::string> files;
  std::vector<Coverage> coverage;
  const auto take = [&](const record& fact) {
    if (fact.kind >= RECORD_FILE && pids.count(static_cast<int>(fact.pid)) != 0) {
      files.emplace_back(reinterpret_cast<const char*>(&fact), fact.size);
    }
  };
  REQUIRE((*source)->walk(request, take, coverage));
  return files;
}

}  // namespace

TEST_CASE("a walk that looks ahead sees the same", "[kernels]") {
  constexpr size_t large_host = 1'000'000;
  const auto fixtures =
      start_together({"pipe-full", "unix-stream", "unix-seqpacket", "tcp", "udp", "eventfd",
                      "epoll", "memfd", "mq-full", "pty", "inotify", "signalfd"});
  std::set<int> pids;
  for (const auto& fixture : fixtures) {
    const std::vector<int> own = fixture->pids();
    pids.insert(own.begin(), own.end());
  }
  const std::vector<std::string> plain = files_of(pids, 0);
  CHECK(plain.size() >= 2 * fixtures.size());
  CHECK(files_of(pids, large_host) == plain);
}
