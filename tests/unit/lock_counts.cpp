// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/locks/lock_counts.h"

#include <sys/syscall.h>

#include <catch2/catch.hpp>

#include "collectors/locks/lock_calls.h"
#include "tests/unit/fake_tree.h"

using namespace ipcscope;

namespace {

constexpr uint32_t epoch = 3;
constexpr uint64_t begin = 1'000'000'000, end = 6'000'000'000;

/// A semaphore set, which needs no process to be looked at.
lock_key set_key(uint64_t id) {
  lock_key key{};
  key.object = id;
  key.space = 77;
  key.wait = WAIT_AT_SEM;
  key.purpose = LOCK_FOR_LOCK;
  return key;
}

lock_value value_of(uint64_t waits, uint64_t total) {
  lock_value value{};
  value.epoch = epoch;
  value.waits = waits;
  value.total = total;
  value.longest = total;
  value.ends[0] = waits;
  value.pid = 7;
  value.call = SYS_semop;
  value.histogram[DurationHistogram::bucket_of_duration(total / std::max<uint64_t>(waits, 1))] =
      static_cast<u32>(waits);
  return value;
}

struct Counting {
  explicit Counting(std::bitset<kind_count> kinds = {})
      : proc(*ProcRoot::open(tree.path().c_str())),
        names(proc),
        counts(names, proc, {begin, end, epoch, kinds}) {}
  LockWindow finish() {
    LockWindow window;
    counts.finish(window);
    return window;
  }
  FakeTree tree;  // without processes
  ProcRoot proc;
  LockNames names;
  LockCounts counts;
};

pair_key behind(const lock_key& lock, uint32_t waiter, uint32_t holder, uint32_t source) {
  return {lock, waiter, holder, source, 0};
}

}  // namespace

TEST_CASE("lock counts: locks, the costliest first, with their waits", "[locks]") {
  Counting counting;
  counting.counts.add_lock(set_key(1), value_of(2, 1'000));
  counting.counts.add_lock(set_key(2), value_of(1, 9'000));
  counting.counts.add_lock(set_key(3), value_of(0, 0));
  const LockWindow window = counting.finish();
  REQUIRE(window.locks.size() == 2);  // nobody waited at the third
  CHECK(window.locks[0].id == "sem:2");
  CHECK(window.locks[0].kind == Kind::sem);
  CHECK(window.locks[0].operation == "semop");
  CHECK(window.locks[1].id == "sem:1");
  CHECK(window.locks[1].waits == 2);
  CHECK(window.locks[1].total_ns == 1'000);
  CHECK(window.locks[1].histogram.total() == 2);
  CHECK(window.locks[1].ends[0] == 2);
}

TEST_CASE("lock counts: what an earlier window counted is void", "[locks]") {
  Counting counting;
  lock_value old = value_of(5, 1'000);
  old.epoch = epoch - 1;
  counting.counts.add_lock(set_key(1), old);
  pair_value pair{};
  pair.epoch = epoch - 1;
  pair.waits = 5;
  counting.counts.add_pair(behind(set_key(1), 11, 0, HOLDER_NONE), pair);
  CHECK(counting.finish().locks.empty());
}

TEST_CASE("lock counts: who woke stands in where there is no owner by design", "[locks]") {
  Counting counting;
  counting.counts.add_lock(set_key(1), value_of(3, 3'000));
  pair_value pair{};
  pair.epoch = epoch;
  pair.waits = 3;
  pair.total = 3'000;
  pair.attempts = 2;
  pair.overtakes = 4;
  pair.overtakes_max = 3;
  pair.waiter_pid = 10;
  pair.waker = 21;
  pair.waker_pid = 20;
  std::copy_n("waits\0", 6, pair.waiter_comm);
  std::copy_n("\xffwakes\0", 7, pair.waker_comm);
  counting.counts.add_pair(behind(set_key(1), 11, 21, HOLDER_WAKER), pair);
  const LockWindow window = counting.finish();
  REQUIRE(window.locks.size() == 1);
  REQUIRE(window.locks[0].pairs.size() == 1);
  const LockPair& seen = window.locks[0].pairs[0];
  CHECK(seen.source == HolderSource::none_by_design);
  CHECK(window.locks[0].source == HolderSource::none_by_design);
  CHECK(window.threads[seen.waiter].tid == 11);
  CHECK(window.threads[seen.waiter].comm == "waits");
  CHECK(window.threads[seen.holder].pid == 20);
  CHECK(window.threads[seen.holder].comm == "\xffwakes");
  CHECK(seen.attempts == 2);
  CHECK(seen.overtakes_max == 3);
  CHECK(window.locks[0].attempt_p50_ns == 1'500);
}

TEST_CASE("lock counts: what writers of an rwlock wait for each other", "[locks]") {
  for (const bool is_rwlock : {true, false}) {
    Counting counting;
    lock_key writers = set_key(1);
    writers.wait = WAIT_AT_FUTEX;
    writers.object = 0x100c;
    lock_key phase = writers;
    phase.object = 0x1008;
    CAPTURE(is_rwlock);
    counting.names.learn_taken(writers, is_rwlock ? Primitive::rwlock : Primitive::mutex);
    counting.names.learn_taken(phase, is_rwlock ? Primitive::rwlock : Primitive::mutex);
    counting.counts.add_writers_word(writers);
    counting.counts.add_lock(writers, value_of(2, 9'000));
    counting.counts.add_lock(phase, value_of(2, 9'000));
    pair_value pair{};
    pair.epoch = epoch;
    pair.waits = 3;
    pair.total = 7'000;
    pair.longest = 5'000;
    pair.attempts = 2;
    pair.attempt_max = 6'000;
    pair.overtakes_max = 4;
    counting.counts.add_pair(behind(writers, 11, 21, HOLDER_AT_12), pair);
    counting.counts.add_pair(behind(writers, 11, 0, HOLDER_NONE), pair);
    counting.counts.add_pair(behind(phase, 11, 21, HOLDER_AT_16), pair);
    LockPair::ToWrite sum;
    for (const LockUse& lock : counting.finish().locks) {
      for (const LockPair& each : lock.pairs) {
        sum.waits += each.to_write.waits;
        sum.wait_ns += each.to_write.wait_ns;
        sum.attempts += each.to_write.attempts;
        sum.attempt_max_ns = std::max(sum.attempt_max_ns, each.to_write.attempt_max_ns);
        sum.overtakes_max = std::max(sum.overtakes_max, each.to_write.overtakes_max);
      }
    }
    CHECK(sum.waits == (is_rwlock ? 6U : 0U));
    CHECK(sum.wait_ns == (is_rwlock ? 14'000U : 0U));
    CHECK(sum.attempts == (is_rwlock ? 4U : 0U));
    CHECK(sum.attempt_max_ns == (is_rwlock ? 6'000U : 0U));
    CHECK(sum.overtakes_max == (is_rwlock ? 4U : 0U));
  }
}

TEST_CASE("lock counts: waits to read an rwlock that a writer has", "[locks]") {
  Counting counting;
  counting.counts.add_lock(set_key(1), value_of(2, 9'000));
  pair_value pair{};
  pair.epoch = epoch;
  pair.waits = 1;
  pair.longest = 5'000;
  counting.counts.add_pair(behind(set_key(1), 11, 21, HOLDER_AT_12), pair);  // a writer
  pair.longest = 4'000;
  counting.counts.add_pair(behind(set_key(1), 12, 21, HOLDER_AT_16), pair);
  const LockWindow window = counting.finish();
  REQUIRE(window.locks.size() == 1);
  for (const LockPair& each : window.locks[0].pairs) {
    CHECK(each.read_max_ns == (window.threads[each.waiter].tid == 12 ? 4'000U : 0U));
  }
}

/// A wait at the lock of set_key(1), and an attempt, that began then and go on.
static lock_pending pending_since(uint64_t time) {
  lock_pending pending{};
  pending.wait.key = set_key(1);
  pending.wait.begin = time;
  pending.wait.attempt_begin = time;
  pending.pid = 10;
  pending.tid = 11;
  pending.waits = 1;
  return pending;
}

TEST_CASE("lock counts: a wait in progress counts from the window's begin", "[locks]") {
  Counting counting;
  lock_value value = value_of(1, 1'000);
  value.ended = 9;
  counting.counts.add_lock(set_key(1), value);
  lock_pending pending = pending_since(begin / 2);
  pending.wait.ended_before = 2;
  pending.wait.waiting_before = 3;
  counting.counts.add_pending(pending);
  const LockWindow window = counting.finish();
  REQUIRE(window.locks.size() == 1);
  const LockUse& lock = window.locks[0];
  CHECK(lock.waits == 2);
  CHECK(lock.unfinished == 1);
  CHECK(lock.max_ns == end - begin);
  CHECK(lock.histogram.total() == 2);
  REQUIRE(lock.pairs.size() == 1);
  CHECK(lock.pairs[0].unfinished == 1);
  CHECK(lock.pairs[0].wait_ns == end - begin);
  CHECK(lock.pairs[0].overtakes_max == 4);  // seven ended, three of them were there before
  CHECK(lock.pairs[0].attempt_max_ns == end - begin / 2);
}

TEST_CASE("lock counts: an attempt that begins after the window's end has no length", "[locks]") {
  // Of two clocks that are read one after the other, the one may be ahead.
  Counting counting;
  counting.counts.add_lock(set_key(1), value_of(1, 1'000));
  counting.counts.add_pending(pending_since(end + 5));
  const LockWindow window = counting.finish();
  REQUIRE(window.locks.size() == 1);
  REQUIRE(window.locks[0].pairs.size() == 1);
  CHECK(window.locks[0].pairs[0].max_ns == 0);
  CHECK(window.locks[0].pairs[0].attempt_max_ns == 0);
}

namespace {

/// Two waits of thread 11 that thread 21 ended, with their thread still.
lock_pending kept_waits() {
  lock_pending pending{};
  pending.wait.key = set_key(1);
  pending.wait.kept = 2;
  pending.wait.kept_epoch = epoch;
  pending.wait.kept_ns[0] = 500;
  pending.wait.kept_ns[1] = 9'000;
  pending.wait.kept_source = HOLDER_WAKER;
  pending.wait.kept_holder = 21;
  pending.wait.kept_woken = 1;
  pending.wait.waker = 21;
  pending.tid = 11;
  return pending;
}

}  // namespace

TEST_CASE("lock counts: waits that the kernel kept", "[locks]") {
  Counting counting;
  counting.counts.add_lock(set_key(1), value_of(8, 8'000));
  lock_pending pending = kept_waits();
  pending.wait.kept_again = 1;
  pending.wait.kept_attempt_max = 9'700;
  pending.wait.kept_overtakes = 3;
  pending.wait.kept_overtakes_max = 2;
  counting.counts.add_pending(pending);
  const LockWindow window = counting.finish();
  REQUIRE(window.locks.size() == 1);
  CHECK(window.locks[0].waits == 10);
  CHECK(window.locks[0].unfinished == 0);
  CHECK(window.locks[0].total_ns == 17'500);
  CHECK(window.locks[0].max_ns == 9'000);
  CHECK(window.locks[0].ends[0] == 10);
  CHECK(window.locks[0].histogram.total() == 10);
  CHECK(window.locks[0].woken_again == 1);
  REQUIRE(window.locks[0].pairs.size() == 1);
  const LockPair& pair = window.locks[0].pairs[0];
  CHECK(window.threads[pair.holder].tid == 21);
  CHECK(pair.waits == 2);
  CHECK(pair.attempts == 1);
  CHECK(pair.attempt_max_ns == 9'700);
  CHECK(pair.overtakes == 3);
  CHECK(pair.overtakes_max == 2);
}

TEST_CASE("lock counts: kept waits of an earlier window are void, others end as they did",
          "[locks]") {
  Counting counting;
  counting.counts.add_lock(set_key(1), value_of(8, 8'000));
  lock_pending pending = kept_waits();
  pending.wait.kept_epoch = epoch - 1;
  counting.counts.add_pending(pending);
  pending = kept_waits();
  pending.wait.kept = 1;
  pending.wait.kept_end = static_cast<u8>(WaitEnd::interrupted);
  pending.wait.kept_woken = 0;
  pending.wait.kept_holder = 0;
  pending.wait.kept_source = HOLDER_NONE;
  counting.counts.add_pending(pending);
  const LockWindow window = counting.finish();
  REQUIRE(window.locks.size() == 1);
  CHECK(window.locks[0].waits == 9);
  CHECK(window.locks[0].ends[0] == 8);
  CHECK(window.locks[0].ends[static_cast<size_t>(WaitEnd::interrupted)] == 1);
  REQUIRE(window.locks[0].pairs.size() == 1);
  CHECK(window.locks[0].pairs[0].holder == no_index);
}

TEST_CASE("lock counts: only kinds that are wanted", "[locks]") {
  std::bitset<kind_count> kinds;
  kinds.set(static_cast<size_t>(Kind::msg));
  Counting counting(kinds);
  counting.counts.add_lock(set_key(1), value_of(1, 1'000));
  CHECK(counting.finish().locks.empty());
}

TEST_CASE("lock calls: who waits where, and who may end it", "[locks]") {
  const auto all = make_lock_calls({});
  CHECK(all[SYS_futex].wait == WAIT_AT_FUTEX);
  CHECK(all[SYS_futex].limit == 4);
  CHECK(all[SYS_semop].wait == WAIT_AT_SEM);
  CHECK(all[SYS_semctl].wait == WAIT_AT_NOTHING);
  CHECK(all[SYS_semctl].wake == WAIT_AT_SEM);
  CHECK(all[SYS_msgsnd].purpose == LOCK_FOR_ROOM);
  CHECK(all[SYS_msgrcv].purpose == LOCK_FOR_DATA);
  CHECK(all[SYS_write].purpose == LOCK_FOR_ROOM);
  CHECK(all[SYS_read].purpose == LOCK_FOR_DATA);
  CHECK(all[SYS_epoll_pwait].purpose == LOCK_FOR_EVENT);
  CHECK(all[SYS_mq_timedsend].limit == 5);
  CHECK(all[SYS_nanosleep].wait == WAIT_AT_NOTHING);
  CHECK(all[SYS_ioctl].wait == WAIT_AT_NOTHING);

  std::bitset<kind_count> kinds;
  kinds.set(static_cast<size_t>(Kind::flock));
  const auto some = make_lock_calls(kinds);
  CHECK(some[SYS_flock].wait == WAIT_AT_FLOCK);
  CHECK(some[SYS_futex].wait == WAIT_AT_NOTHING);
  CHECK(some[SYS_read].wait == WAIT_AT_NOTHING);
  kinds.reset();
  kinds.set(static_cast<size_t>(Kind::pipe));
  CHECK(make_lock_calls(kinds)[SYS_read].wait == WAIT_AT_FILE);
}

TEST_CASE("duration histogram: buckets and percentiles", "[locks]") {
  for (const uint64_t ns : {1ULL, 2ULL, 3ULL, 5ULL, 7ULL, 1'000ULL, 123'456'789ULL}) {
    const size_t bucket = DurationHistogram::bucket_of_duration(ns);
    CHECK(DurationHistogram::duration_of_bucket(bucket) <= ns);
    if (ns >= 4) {
      CHECK(DurationHistogram::duration_of_bucket(bucket + 1) > ns);
    }
  }
  CHECK(DurationHistogram::bucket_of_duration(0) == 0);
  CHECK(DurationHistogram::bucket_of_duration(UINT64_MAX) == DurationHistogram::buckets - 1);
  DurationHistogram histogram;
  CHECK(histogram.percentile(0.5) == 0);
  histogram.add(DurationHistogram::bucket_of_duration(1'000), 99);
  histogram.add(DurationHistogram::bucket_of_duration(1'000'000), 1);
  CHECK(histogram.percentile(0.5) < 1'100);
  CHECK(histogram.percentile(0.999) > 900'000);
  CHECK(histogram.octave(9) == 99);
}
