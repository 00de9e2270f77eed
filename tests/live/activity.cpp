// SPDX-License-Identifier: GPL-2.0-or-later
// What the probe of `top` counts against what busy fixtures did, by their own books.
#include "collectors/activity/activity_probe.h"

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <map>
#include <memory>
#include <thread>

#include "collectors/activity/activity_calls.h"
#include "collectors/activity/activity_program.h"
#include "collectors/bpf_source.h"
#include "collectors/kernel_layout.h"
#include "tests/live/main.h"
#include "tests/live/running_fixture.h"

using namespace ipcscope::live;
using ipcscope::Activity;
using ipcscope::ActivityProbe;
using ipcscope::ChannelActivity;
using ipcscope::ProcessActivity;
using ipcscope::ProcRoot;

namespace {

/// A pair that is taken out while it is added to may lose that operation.
constexpr int64_t lost_by_taking = 1;

struct Sums {
  int64_t reads = 0, writes = 0, read_bytes = 0, written_bytes = 0, signals = 0;

  template <typename Counted>
  void add(const Counted& counted) {
    reads += static_cast<int64_t>(counted.reads);
    writes += static_cast<int64_t>(counted.writes);
    read_bytes += static_cast<int64_t>(counted.read_bytes);
    written_bytes += static_cast<int64_t>(counted.written_bytes);
  }
};

/// Everything that a probe has seen, taken once a second, as a screen would.
class Counting {
 public:
  Counting() : proc_(std::move(*ProcRoot::open("/proc"))) {
    auto probe = ActivityProbe::start(proc_);
    INFO((probe ? "" : probe.error().text()));
    REQUIRE(probe);
    probe_ = std::move(*probe);
  }

  void take() {
    const auto activity = probe_->take();
    INFO((activity ? "" : activity.error().text()));
    REQUIRE(activity);
    takes_++;
    lost += static_cast<int64_t>(activity->lost);
    CHECK(activity->window_ns > 0);
    for (const ChannelActivity& channel : activity->channels) {
      channels[channel.id].add(channel);
      kinds[channel.id] = kind_name(channel.kind);
      CHECK_FALSE(channel.pids.empty());
    }
    for (const ProcessActivity& process : activity->processes) {
      processes[process.pid].add(process);
      processes[process.pid].signals += static_cast<int64_t>(process.signals_sent);
      comms[process.pid] = process.comm;
    }
    coverage = activity->coverage;
  }
  [[nodiscard]] int64_t takes() const { return takes_; }

  std::map<std::string, Sums> channels;
  std::map<std::string, std::string> kinds;
  std::map<int32_t, Sums> processes;
  std::map<int32_t, std::string> comms;
  std::vector<ipcscope::Coverage> coverage;
  int64_t lost = 0;

 private:
  ProcRoot proc_;
  std::unique_ptr<ActivityProbe> probe_;
  int64_t takes_ = 0;
};

int64_t whole(const Json& object, const char* key) { return member(object, key).GetInt64(); }

/// A sum of several pairs may have lost as many operations, at each taking.
void compare(int64_t counted, const Json& truth, const char* key, int64_t operations_lost,
             int64_t most_bytes = 1) {
  const int64_t done = whole(truth, key);
  INFO(key << ": counted " << counted << " of " << done);
  CHECK(counted <= done);
  CHECK(counted >= done - operations_lost * most_bytes);
  CHECK(static_cast<double>(counted) >= 0.98 * static_cast<double>(done));
}

void compare(const Sums& counted, const Json& truth, int64_t pairs, int64_t takes) {
  constexpr int64_t largest = 4096;  // what is moved at once
  const int64_t lost = pairs * takes * lost_by_taking;
  compare(counted.reads, truth, "reads", lost);
  compare(counted.writes, truth, "writes", lost);
  compare(counted.read_bytes, truth, "read_bytes", lost, largest);
  compare(counted.written_bytes, truth, "written_bytes", lost, largest);
}

void compare(const Counting& counting, const std::string& name, const Json& did) {
  INFO(name << ": " << print(did, 3000));
  const auto processes = member(did, "processes").GetArray();
  for (const Json& channel : member(did, "channels").GetArray()) {
    const std::string id(text_of(member(channel, "id")));
    INFO(id);
    const auto found = counting.channels.find(id);
    CHECK(found != counting.channels.end());
    if (found != counting.channels.end()) {
      CHECK(counting.kinds.at(id) == text_of(member(channel, "kind")));
      compare(found->second, channel, processes.Size(), counting.takes());
    }
  }
  for (const Json& process : processes) {
    const int32_t pid = member(process, "pid").GetInt();
    INFO(print(process));
    const auto found = counting.processes.find(pid);
    CHECK(found != counting.processes.end());
    if (found != counting.processes.end()) {
      CHECK(counting.comms.at(pid) == text_of(member(process, "comm")));
      compare(found->second, process, 4, counting.takes());
      compare(found->second.signals, process, "signals_sent", counting.takes());
    }
  }
}

/// Writes a byte into each of many new pipes, one after the other.
void use_pipes(int count) {
  for (int i = 0; i < count; i++) {
    std::array<int, 2> ends{};
    if (::pipe(ends.data()) != 0 || ::write(ends[1], "x", 1) != 1) {
      ::_exit(1);
    }
    ::close(ends[0]);
    ::close(ends[1]);
  }
}

}  // namespace

TEST_CASE("activity is what each mechanism did") {
  std::vector<std::unique_ptr<RunningFixture>> fixtures;
  for (const std::string& name : busy_names()) {
    if (!choice().fixture.empty() && name != choice().fixture) {
      continue;
    }
    auto fixture = std::make_unique<RunningFixture>(name);
    if (fixture->is_possible()) {
      fixtures.push_back(std::move(fixture));
      continue;
    }
    // io_uring may be switched off (kernel.io_uring_disabled).
    CHECK(name == "busy-io_uring");
    tell_impossible(name + ": " + fixture->reason());
  }
  Counting counting;
  std::vector<Document> did(fixtures.size());
  std::vector<std::thread> workers;
  std::atomic<size_t> working = fixtures.size();
  for (size_t i = 0; i < fixtures.size(); i++) {
    workers.emplace_back([&, i] {
      try {
        did[i] = fixtures[i]->work();
      } catch (const std::exception& error) {
        fmt::print("{}\n", error.what());
      }
      working--;
    });
  }
  while (working > 0) {
    std::this_thread::sleep_for(std::chrono::seconds(1));
    counting.take();
  }
  for (std::thread& worker : workers) {
    worker.join();
  }
  counting.take();
  for (size_t i = 0; i < fixtures.size(); i++) {
    REQUIRE(did[i].IsObject());
    compare(counting, fixtures[i]->name(), did[i]);
    CHECK_THAT(fixtures[i]->stop(), Catch::Equals(""));
  }
  CHECK(counting.lost == 0);
  CHECK((!choice().fixture.empty() || fixtures.size() >= 14));
}

TEST_CASE("activity counts what it has no room for") {
  constexpr int pipes = ACTIVITY_PAIRS + 5000;
  Counting counting;
  const pid_t child = ::fork();
  if (child == 0) {
    use_pipes(pipes);
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(status == 0);
  counting.take();
  REQUIRE(counting.processes.count(child) == 1);
  const int64_t counted = counting.processes[child].writes;
  CHECK(counted <= ACTIVITY_PAIRS);
  CHECK(counted + counting.lost >= pipes);
  REQUIRE(counting.coverage.size() == 1);
  CHECK(counting.coverage[0].state == ipcscope::Coverage::State::partial);
  CHECK(counting.coverage[0].lost == static_cast<uint64_t>(counting.lost));
  CHECK_THAT(counting.coverage[0].reason, Catch::Contains("than are counted at a time"));

  // There is room again.
  const int64_t lost_before = counting.lost;
  const pid_t next = ::fork();
  if (next == 0) {
    use_pipes(1000);
    ::_exit(0);
  }
  REQUIRE(::waitpid(next, &status, 0) == next);
  counting.take();
  CHECK(counting.processes[next].writes == 1000);
  CHECK(counting.lost == lost_before);
}

namespace {

bool has_direct_reads() {
  for (const ipcscope::Capability& each : ipcscope::probe_bpf()) {
    if (each.name == "BPF direct reads") {
      return each.state == ipcscope::Capability::works;
    }
  }
  FAIL("no such capability");
  return true;
}

}  // namespace

TEST_CASE("activity can be loaded both ways", "[kernels]") {
  const auto layout = ipcscope::read_kernel_layout();
  REQUIRE(layout);
  const auto calls = ipcscope::activity_calls();
  for (const int light : {0, 1}) {
    activity_program program{};
    CAPTURE(light);
    const int error = load_activity(&program, &*layout, calls.data(), light);
    if (error != 0 && light == 1 && !has_direct_reads()) {
      return tell_impossible("only one way: BPF direct reads need Linux 6.2");
    }
    REQUIRE(error == 0);
    CHECK(program.pairs >= 0);
    program.destroy(program.skeleton);
  }
}
