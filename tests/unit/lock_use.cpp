// SPDX-License-Identifier: GPL-2.0-or-later
#include "analysis/lock_use.h"

#include <catch2/catch.hpp>

#include "collectors/model/duration.h"
#include "tests/unit/paper_window.h"

namespace ipcscope {

using Waits = PaperWindow::Waits;

TEST_CASE("what the pairs of a lock add up to", "[lock_use]") {
  PaperWindow paper;
  LockUse& lock = paper.mutex();
  const uint32_t a = paper.thread(10, 10, "a"), b = paper.thread(10, 11, "b"),
                 c = paper.thread(10, 12, "c");
  paper.wait(lock, a, b, Waits{.count = 3, .each_ns = ms, .overtakes = 4, .attempts = 1});
  paper.wait(lock, a, c, Waits{.count = 1, .each_ns = 2 * ms, .unfinished = 1, .overtakes = 1});
  paper.wait(lock, b, c, Waits{.count = 10, .each_ns = ms});
  const std::vector<LockWaiter> waiters = waiters_of(lock);
  REQUIRE(waiters.size() == 2);
  CHECK(waiters[0].thread == b);
  CHECK(waiters[1].thread == a);
  CHECK(waiters[1].waits == 4);
  CHECK(waiters[1].unfinished == 1);
  CHECK(waiters[1].wait_ns == 5 * ms);
  CHECK(waiters[1].max_ns == 2 * ms);
  CHECK(waiters[1].overtakes == 5);
  CHECK(waiters[1].overtakes_max == 4);
  CHECK(waiters[1].attempt_mean_ns() == 2'500'000);
  std::vector<LockHolder> holders = holders_of(lock);
  REQUIRE(holders.size() == 2);
  CHECK(holders[0].thread == c);
  CHECK(holders[0].waiters == 2);
  CHECK(holders[0].share == Approx(0.8));
  lock.total_ns = 30 * ms;  // half of it in pairs that did not fit
  CHECK(holders_of(lock)[0].share == Approx(0.4));
  CHECK(holders_of(LockUse{}).empty());
}

TEST_CASE("names of locks and threads", "[lock_use]") {
  CHECK(thread_text({10, 10, "a"}) == "a[10]");
  CHECK(thread_text({10, 11, "a"}) == "a[10/11]");
  CHECK(thread_text({0, 11, ""}) == "[11]");
  LockUse lock;
  lock.id = "flock:/x";
  lock.kind = Kind::flock;
  lock.name = "/x";
  lock.primitive = "unknown";
  CHECK(lock_text(lock) == "flock flock:/x");
  lock.name = "elsewhere";
  lock.primitive = "file lock";
  CHECK(lock_text(lock) == "file lock elsewhere (flock:/x)");
}

TEST_CASE("durations in five characters", "[lock_use]") {
  CHECK(nanoseconds_text(0) == "0ns");
  CHECK(nanoseconds_text(999) == "999ns");
  CHECK(nanoseconds_text(1000) == "1.0us");
  CHECK(nanoseconds_text(9949) == "9.9us");
  CHECK(nanoseconds_text(9950) == "10us");
  CHECK(nanoseconds_text(999'499) == "999us");
  CHECK(nanoseconds_text(999'500) == "1.0ms");
  CHECK(nanoseconds_text(340'000'000) == "340ms");
  CHECK(nanoseconds_text(999'600'000) == "1.0s");
  CHECK(nanoseconds_text(41 * second) == "41s");
  CHECK(nanoseconds_text(312 * second) == "5m12s");
}

TEST_CASE("percentiles of a histogram", "[lock_use]") {
  DurationHistogram histogram;
  CHECK(histogram.percentile(0.5) == 0);
  histogram.add(DurationHistogram::bucket_of_duration(us), 99);
  histogram.add(DurationHistogram::bucket_of_duration(second), 1);
  CHECK(histogram.percentile(0.5) < 2 * us);
  CHECK(histogram.percentile(0.999) > 500 * ms);
  CHECK(histogram.octave(9) == 99);  // 512 to 1023 ns
  for (uint64_t ns = 4; ns < uint64_t{1} << 43; ns = ns * 5 / 4 + 1) {
    const size_t bucket = DurationHistogram::bucket_of_duration(ns);
    INFO(ns);
    CHECK(DurationHistogram::duration_of_bucket(bucket) <= ns);
    CHECK(DurationHistogram::duration_of_bucket(bucket + 1) > ns);
  }
}

}  // namespace ipcscope
