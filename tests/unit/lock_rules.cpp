// SPDX-License-Identifier: GPL-2.0-or-later
#include "analysis/lock_rules.h"

#include <catch2/catch.hpp>

#include "tests/unit/paper_window.h"

namespace ipcscope {
namespace {

using Waits = PaperWindow::Waits;

std::string rules(const std::vector<Finding>& findings) {
  std::string text;
  for (const Finding& each : findings) {
    text += text.empty() ? "" : " ";
    text += each.rule;
  }
  return text;
}

const Finding& only(const std::vector<Finding>& findings, std::string_view rule) {
  for (const Finding& each : findings) {
    if (each.rule == rule) {
      return each;
    }
  }
  FAIL("no " << rule << " in: " << rules(findings));
  return findings.front();
}

bool has(const std::vector<Finding>& findings, std::string_view rule) {
  return rules(findings).find(rule) != std::string::npos;
}

std::string evidence(const Finding& finding, std::string_view key) {
  for (const Evidence& each : finding.evidence) {
    if (each.key == key) {
      return each.text;
    }
  }
  return {};
}

/// Threads that take turns at a mutex, each behind each other. The worst attempts are long and were
/// overtaken often, as they are by chance where there are many.
std::vector<uint32_t> take_turns(PaperWindow& paper, LockUse& lock, size_t count,
                                 uint64_t each_ns) {
  std::vector<uint32_t> threads;
  for (size_t i = 0; i < count; i++) {
    threads.push_back(paper.thread(10, static_cast<int32_t>(11 + i), "worker"));
  }
  for (size_t i = 0; i < count; i++) {
    for (size_t j = 0; j < count; j++) {
      if (i != j) {
        paper.wait(lock, threads[i], threads[j],
                   Waits{.count = 100,
                         .each_ns = each_ns,
                         .overtakes = 20 + i * 3,
                         .attempt_ns = (60 + 20 * i) * ms});
      }
    }
  }
  return threads;
}

}  // namespace

TEST_CASE("a mutex that costs its threads much is contended", "[lock_rules]") {
  PaperWindow paper;
  LockUse& lock = paper.mutex();
  lock.name = "queue_lock";
  const uint32_t a = paper.thread(10, 11, "left"), b = paper.thread(10, 12, "right");
  paper.wait(lock, a, b, Waits{.count = 1000, .each_ns = ms});
  paper.wait(lock, b, a, Waits{.count = 500, .each_ns = ms});
  const std::vector<Finding> found = judge_locks(paper.window);
  REQUIRE(rules(found) == "contention");
  CHECK(found[0].summary ==
        "2 threads spend 15% of their time waiting for mutex queue_lock (futex:10:0x7f0000001040)");
  CHECK(found[0].severity == Severity::warning);
  CHECK(found[0].pids == std::vector<int32_t>{10});
  CHECK(found[0].tids == std::vector<int32_t>{11, 12});
  CHECK(found[0].channels == std::vector<std::string>{lock.id});
  CHECK(evidence(found[0], "cost") == "1.5s in 5.0s of 2 threads");
  CHECK(evidence(found[0], "holder") == "right[10/12] 67%, left[10/11] 33%");
  LockThresholds limits;
  limits.contention_percent = 16;
  CHECK(judge_locks(paper.window, limits).empty());
}

TEST_CASE("many threads that lose a little each lose much together", "[lock_rules]") {
  PaperWindow paper;
  LockUse& lock = paper.mutex();
  for (int32_t i = 0; i < 100; i++) {
    const uint32_t thread = paper.thread(10, 11 + i, "worker");
    paper.wait(lock, thread, no_index, Waits{.count = 60, .each_ns = ms});
  }
  CHECK(rules(judge_locks(paper.window)) == "contention");
}

TEST_CASE("fair contention is not starvation", "[lock_rules]") {
  for (const size_t threads : {size_t{2}, size_t{3}, size_t{8}}) {
    PaperWindow paper;
    take_turns(paper, paper.mutex(), threads, 6 * ms);
    INFO(threads);
    CHECK(rules(judge_locks(paper.window)) == "contention");
  }
}

TEST_CASE("a thread that is overtaken again and again starves", "[lock_rules]") {
  PaperWindow paper;
  LockUse& lock = paper.mutex();
  const std::vector<uint32_t> threads = take_turns(paper, lock, 3, ms);
  const uint32_t starved = paper.thread(10, 99, "starved");
  for (const uint32_t each : threads) {
    paper.wait(lock, starved, each,
               Waits{.count = 30,
                     .each_ns = 40 * ms,
                     .unfinished = each == threads[0] ? 1U : 0U,
                     .overtakes = 433,
                     .attempt_ns = 3 * second,
                     .attempts = 1});
  }
  lock.woken_again = 88;
  const std::vector<Finding> found = judge_locks(paper.window);
  const Finding& finding = only(found, "starvation");
  CHECK(finding.tids == std::vector<int32_t>{99});
  CHECK(finding.summary.find("starved[10/99] starves at mutex") == 0);
  CHECK(finding.summary.find("overtaken at least 433 times in one attempt of 3.0s") !=
        std::string::npos);
  CHECK(evidence(finding, "median") == "the others' attempts take 1.0ms, 3000 times less");
  CHECK(evidence(finding, "woken") == "88 times to find it taken again");
  LockThresholds limits;
  limits.overtakes = 434;
  CHECK_FALSE(has(judge_locks(paper.window, limits), "starvation"));
  limits = {};
  limits.times_median = 3001;
  CHECK_FALSE(has(judge_locks(paper.window, limits), "starvation"));
}

TEST_CASE("one that never waits can starve all others", "[lock_rules]") {
  PaperWindow paper;
  LockUse& lock = paper.mutex();
  const uint32_t hog = paper.thread(10, 11, "hog");
  for (int32_t i = 0; i < 3; i++) {
    const uint32_t victim = paper.thread(10, 20 + i, "victim");
    paper.wait(lock, victim, hog,
               Waits{.count = 40,
                     .each_ns = 100 * ms,
                     .overtakes = 40,
                     .attempt_ns = 4 * second,
                     .attempts = 1});
  }
  CHECK(only(judge_locks(paper.window), "starvation").tids == std::vector<int32_t>{20, 21, 22});
}

TEST_CASE("a waiter that meets the same long holder now and then does not starve", "[lock_rules]") {
  PaperWindow paper;
  LockUse& lock = paper.mutex();
  const uint32_t holder = paper.thread(10, 11, "long-holder");
  for (int32_t i = 0; i < 8; i++) {
    const uint32_t user = paper.thread(10, 20 + i, "user");
    paper.wait(lock, user, holder,
               Waits{.count = 20,
                     .each_ns = 19 * ms,
                     .overtakes = i == 7 ? 77U : 20U,
                     .attempt_ns = i == 7 ? 98 * ms : 33 * ms,
                     .attempts = 15});
  }
  CHECK_FALSE(has(judge_locks(paper.window), "starvation"));
}

TEST_CASE("one bad attempt among many is chance", "[lock_rules]") {
  PaperWindow paper;
  LockUse& lock = paper.mutex();
  const std::vector<uint32_t> threads = take_turns(paper, lock, 3, ms);
  const uint32_t other = paper.thread(10, 99, "other");
  LockPair& pair =
      paper.wait(lock, other, threads[0],
                 Waits{.count = 100, .each_ns = 2 * ms, .overtakes = 400, .attempt_ns = 900 * ms});
  CHECK_FALSE(has(judge_locks(paper.window), "starvation"));
  SECTION("unless it takes much of the time") {
    pair.attempt_max_ns = second;
    CHECK(has(judge_locks(paper.window), "starvation"));
  }
  SECTION("unless it is one of many") {
    pair.wait_ns = 300 * ms;
    CHECK(has(judge_locks(paper.window), "starvation"));
  }
}

TEST_CASE("who times out again and again does not starve", "[lock_rules]") {
  PaperWindow paper;
  LockUse& lock = paper.mutex();
  const uint32_t holder = paper.thread(10, 11, "holder");
  const uint32_t patient = paper.thread(10, 12, "patient");
  paper.wait(
      lock, patient, holder,
      Waits{
          .count = 60, .each_ns = 5 * ms, .overtakes = 118, .attempt_ns = 310 * ms, .attempts = 1});
  std::swap(lock.ends[static_cast<size_t>(WaitEnd::woken)],
            lock.ends[static_cast<size_t>(WaitEnd::timed_out)]);
  CHECK(judge_locks(paper.window).empty());
}

TEST_CASE("a long attempt in a fair queue is not starvation", "[lock_rules]") {
  PaperWindow paper;
  LockUse& lock = paper.mutex();
  const std::vector<uint32_t> threads = take_turns(paper, lock, 3, ms);
  // Long, but nobody came past it: the holder was slow.
  const uint32_t last = paper.thread(10, 99, "last");
  paper.wait(lock, last, threads[0], Waits{.count = 1, .each_ns = 3 * second, .overtakes = 2});
  CHECK_FALSE(has(judge_locks(paper.window), "starvation"));
}

TEST_CASE("short attempts are not starvation however often they are overtaken", "[lock_rules]") {
  PaperWindow paper;
  LockUse& lock = paper.mutex();
  const std::vector<uint32_t> threads = take_turns(paper, lock, 3, us);
  const uint32_t other = paper.thread(10, 99, "other");
  paper.wait(lock, other, threads[0],
             Waits{.count = 100, .each_ns = 100 * us, .overtakes = 60, .attempt_ns = 40 * ms});
  CHECK_FALSE(has(judge_locks(paper.window), "starvation"));
}

TEST_CASE("an idle server and idle workers are no finding", "[lock_rules]") {
  PaperWindow paper;
  const uint32_t server = paper.thread(10, 10, "server"), client = paper.thread(20, 20, "client");
  LockUse& socket = paper.lock("tcp:127.0.0.1:80", Kind::tcp, "tcp", WaitPurpose::data);
  paper.wait(socket, server, client, Waits{.count = 50, .each_ns = 90 * ms, .overtakes = 20});
  LockUse& condvar = paper.lock("futex:30:0x10", Kind::futex, "condvar", WaitPurpose::event);
  condvar.source = HolderSource::none_by_design;
  const uint32_t producer = paper.thread(30, 30, "producer");
  for (int32_t i = 0; i < 8; i++) {
    const uint32_t worker = paper.thread(30, 31 + i, "worker");
    // Three of them got work, did it and wait again; the others have waited all the time.
    if (i < 3) {
      paper.wait(condvar, worker, producer, Waits{.count = 2, .each_ns = second});
      paper.wait(condvar, worker, no_index, Waits{.each_ns = 2 * second, .unfinished = 1});
    } else {
      paper.wait(condvar, worker, no_index, Waits{.each_ns = 5 * second, .unfinished = 1});
    }
  }
  CHECK(judge_locks(paper.window).empty());
}

TEST_CASE("workers that come back to the other word of a condition variable", "[lock_rules]") {
  PaperWindow paper;
  LockUse& first = paper.lock("futex:30:0x10", Kind::futex, "condvar", WaitPurpose::event);
  const uint32_t producer = paper.thread(30, 30, "producer");
  const uint32_t busy = paper.thread(30, 31, "worker"), idle = paper.thread(30, 32, "worker");
  paper.wait(first, busy, producer, Waits{.each_ns = 10 * ms});
  paper.wait(first, idle, no_index, Waits{.each_ns = 5 * second, .unfinished = 1});
  CHECK(has(judge_locks(paper.window), "lost-wakeup"));
  LockUse& other = paper.lock("futex:30:0x14", Kind::futex, "condvar", WaitPurpose::event);
  paper.wait(other, busy, no_index, Waits{.each_ns = 4 * second, .unfinished = 1});
  CHECK(judge_locks(paper.window).empty());
}

TEST_CASE("one thread that waits once is no contention", "[lock_rules]") {
  PaperWindow paper;
  const uint32_t waiter = paper.thread(10, 11, "waiter"), holder = paper.thread(10, 12, "holder");
  LockUse& lock = paper.mutex();
  paper.wait(lock, waiter, holder, Waits{.each_ns = 5 * second, .unfinished = 1});
  CHECK(judge_locks(paper.window).empty());
  lock.ends[static_cast<size_t>(WaitEnd::woken)] = 1;
  CHECK(judge_locks(paper.window).empty());
}

TEST_CASE("a semaphore that hands out work is idle, one that guards is contended", "[lock_rules]") {
  PaperWindow paper;
  LockUse& lock = paper.lock("sem:5", Kind::sem, "semaphore", WaitPurpose::lock);
  lock.source = HolderSource::none_by_design;
  const uint32_t a = paper.thread(10, 10, "a"), b = paper.thread(11, 11, "b");
  const uint32_t producer = paper.thread(12, 12, "producer");
  paper.wait(lock, a, producer, Waits{.count = 40, .each_ns = 100 * ms, .overtakes = 30});
  paper.wait(lock, b, producer, Waits{.count = 40, .each_ns = 100 * ms});
  CHECK(judge_locks(paper.window).empty());
  lock.pairs[0].holder = b;
  lock.pairs[1].holder = a;
  const std::vector<Finding> found = judge_locks(paper.window);
  REQUIRE(rules(found) == "contention");
  CHECK(evidence(found[0], "holder").find("none by design; woken by ") == 0);
}

TEST_CASE("waits that queue behind one holder are a convoy", "[lock_rules]") {
  PaperWindow paper;
  LockUse& lock = paper.mutex();
  lock.longest_hold_ns = 60 * ms;
  const uint32_t holder = paper.thread(10, 11, "holder");
  for (int32_t i = 0; i < 3; i++) {
    const uint32_t waiter = paper.thread(10, 20 + i, "waiter");
    paper.wait(lock, waiter, holder, Waits{.count = 20, .each_ns = 50 * ms});
  }
  const std::vector<Finding> found = judge_locks(paper.window);
  const Finding& finding = only(found, "convoy");
  CHECK(finding.summary.find("3 threads queue for mutex") == 0);
  CHECK(finding.summary.find("behind holder[10/11], which holds it for up to 60ms at once") !=
        std::string::npos);
  CHECK(has(found, "contention"));  // what it costs
  SECTION("not where the holds are short") {
    lock.longest_hold_ns = 2 * ms;
    CHECK_FALSE(has(judge_locks(paper.window), "convoy"));
  }
  SECTION("not where it is one thread that waits for long, whatever the others do") {
    for (LockPair& pair : lock.pairs) {
      pair.holder = pair.waiter == 1 ? holder : 2;
    }
    CHECK_FALSE(has(judge_locks(paper.window), "convoy"));
  }
  SECTION("not where all take turns") {
    PaperWindow fair;
    LockUse& turns = fair.mutex();
    turns.longest_hold_ns = 60 * ms;
    take_turns(fair, turns, 8, 20 * ms);
    CHECK_FALSE(has(judge_locks(fair.window), "convoy"));
  }
}

TEST_CASE("a dead owner", "[lock_rules]") {
  PaperWindow paper;
  LockUse& lock = paper.mutex();
  const uint32_t waiter = paper.thread(10, 11, "waiter");
  paper.wait(lock, waiter, no_index, Waits{.each_ns = 20 * ms});
  lock.ends[static_cast<size_t>(WaitEnd::woken)] = 0;
  lock.ends[static_cast<size_t>(WaitEnd::owner_died)] = 1;
  std::vector<Finding> found = judge_locks(paper.window);
  REQUIRE(rules(found) == "owner-died");
  CHECK(found[0].severity == Severity::warning);
  CHECK(evidence(found[0], "ended") == "1 wait by the owner's death");
  lock.facts = {{"owner_gone", 1}};
  found = judge_locks(paper.window);
  REQUIRE(rules(found) == "owner-died");
  CHECK(found[0].severity == Severity::critical);
}

TEST_CASE("a wake-up that went past a waiter", "[lock_rules]") {
  PaperWindow paper;
  LockUse& lock = paper.lock("futex:30:0x10", Kind::futex, "condvar", WaitPurpose::event);
  const uint32_t waker = paper.thread(30, 30, "waker");
  const uint32_t woken = paper.thread(30, 31, "woken"), left = paper.thread(30, 32, "left");
  paper.wait(lock, woken, waker, Waits{.each_ns = 300 * ms});
  paper.wait(lock, left, no_index, Waits{.each_ns = 4 * second, .unfinished = 1});
  const std::vector<Finding> found = judge_locks(paper.window);
  REQUIRE(rules(found) == "lost-wakeup");
  CHECK(found[0].tids == std::vector<int32_t>{32});
  CHECK(found[0].summary.find("suspected: left[30/32] still waits for condvar") == 0);
  CHECK(evidence(found[0], "woken") == "1 wait of others, after 300ms at most");

  SECTION("not while the others waited nearly as long") {
    lock.pairs[0].max_ns = 2 * second;
    CHECK(judge_locks(paper.window).empty());
  }
  SECTION("not where the woken come back, unless nobody is left") {
    lock.pairs[0].waits = 2;
    CHECK(judge_locks(paper.window).empty());
    lock.facts = {{"releasers_left", 1}};
    CHECK(judge_locks(paper.window).empty());
    lock.facts = {{"releasers_left", 0}};
    CHECK(only(judge_locks(paper.window), "lost-wakeup").summary.find("nobody is left") !=
          std::string::npos);
    lock.primitive = "semaphore";
    lock.purpose = WaitPurpose::lock;
    CHECK(has(judge_locks(paper.window), "lost-wakeup"));
    lock.facts.clear();
    CHECK(judge_locks(paper.window).empty());
  }
  SECTION("not where nobody was woken: it may have waited for ever on purpose") {
    lock.ends = {};
    lock.facts = {{"releasers_left", 0}};
    CHECK(judge_locks(paper.window).empty());
  }
  SECTION("not at once") {
    lock.pairs[0].max_ns = ms;
    lock.pairs[1].max_ns = 499 * ms;
    CHECK(judge_locks(paper.window).empty());
  }
}

TEST_CASE("a writer that waits while readers come and go", "[lock_rules]") {
  PaperWindow paper;
  LockUse& lock = paper.lock("futex:30:0x10", Kind::futex, "rwlock", WaitPurpose::lock);
  const uint32_t writer = paper.thread(30, 31, "writer");
  paper.wait(lock, writer, no_index, Waits{.each_ns = 2 * second, .unfinished = 1});
  lock.facts = {{"readers_seen", 12}, {"readers_changed", 9}};
  const std::vector<Finding> found = judge_locks(paper.window);
  REQUIRE(rules(found) == "writer-starvation");
  CHECK(found[0].tids == std::vector<int32_t>{31});
  CHECK(evidence(found[0], "readers").find("12 looks") != std::string::npos);
  lock.facts = {{"readers_seen", 12}, {"readers_changed", 1}};  // one long reader
  CHECK(judge_locks(paper.window).empty());
}

TEST_CASE("a writer that other writers overtake again and again", "[lock_rules]") {
  PaperWindow paper;
  LockUse& lock = paper.lock("futex:30:0x10", Kind::futex, "rwlock", WaitPurpose::lock);
  const uint32_t hog = paper.thread(30, 31, "hog"), starved = paper.thread(30, 32, "starved");
  paper.wait(lock, hog, starved, Waits{.count = 200, .each_ns = ms});
  paper.wait(lock, starved, hog,
             Waits{.count = 90,
                   .each_ns = 20 * ms,
                   .overtakes = 80,
                   .attempt_ns = 1500 * ms,
                   .attempts = 2});
  CHECK_FALSE(has(judge_locks(paper.window), "starvation"));  // perhaps it wants to read
  lock.pairs[0].to_write = {200, 200 * ms, 200, ms, 0};
  lock.pairs[1].to_write = {90, 1800 * ms, 2, 1500 * ms, 80};
  const std::vector<Finding> found = judge_locks(paper.window);
  const Finding& finding = only(found, "starvation");
  CHECK(finding.tids == std::vector<int32_t>{32});
  CHECK(finding.summary.find("starved[30/32] starves at rwlock futex:30:0x10: overtaken at least "
                             "80 times in one attempt of 1.5s") == 0);
  SECTION("both wait long") {
    lock.pairs[0].to_write.attempt_max_ns = 1400 * ms;
    lock.pairs[0].to_write.wait_ns = 2 * second;
    lock.pairs[0].to_write.attempts = 2;
    CHECK_FALSE(has(judge_locks(paper.window), "starvation"));
  }
  SECTION("hardly overtaken by writers") {
    lock.pairs[1].to_write.overtakes_max = 9;
    CHECK_FALSE(has(judge_locks(paper.window), "starvation"));
  }
}

TEST_CASE("a reader that waits while writers have the lock again and again", "[lock_rules]") {
  PaperWindow paper;
  LockUse& lock = paper.lock("futex:30:0x10", Kind::futex, "rwlock", WaitPurpose::lock);
  const uint32_t writer = paper.thread(30, 31, "writer"), reader = paper.thread(30, 32, "reader");
  paper.wait(lock, writer, no_index, Waits{.count = 200, .each_ns = ms});
  paper.wait(lock, reader, writer, Waits{.each_ns = 2 * second, .unfinished = 1});
  lock.pairs[1].read_max_ns = 2 * second;
  lock.facts = {{"writers_returned", 90}, {"readers_kept_ns", second}};
  const std::vector<Finding> found = judge_locks(paper.window);
  REQUIRE(has(found, "starvation"));
  const Finding& finding = only(found, "starvation");
  CHECK(finding.tids == std::vector<int32_t>{32});
  CHECK(finding.summary.find("reader[30/32] waits up to 2.0s to read at rwlock") == 0);
  CHECK(evidence(finding, "writers").find("90 times in 1.0s") != std::string::npos);
  SECTION("each writer once: those that were there before") {
    lock.facts = {{"writers_returned", 3}, {"readers_kept_ns", second}};
    CHECK_FALSE(has(judge_locks(paper.window), "starvation"));
  }
  SECTION("other readers than this one waited when they came again") {
    lock.pairs[1].read_max_ns = second / 2;
    CHECK_FALSE(has(judge_locks(paper.window), "starvation"));
  }
  SECTION("not for long") {
    lock.facts = {{"writers_returned", 90}, {"readers_kept_ns", 49 * ms}};
    CHECK_FALSE(has(judge_locks(paper.window), "starvation"));
  }
}

TEST_CASE("a message that stays", "[lock_rules]") {
  PaperWindow paper;
  const uint32_t sender = paper.thread(30, 31, "sender");
  for (const Kind kind : {Kind::mq, Kind::msg}) {
    LockUse& lock = paper.lock(kind == Kind::mq ? "mq:/q" : "msg:3", kind, "mq", WaitPurpose::data);
    paper.wait(lock, sender, no_index, Waits{});
    lock.facts = {{"head_stayed", 5}, {"received", 400}};
    CHECK(rules(judge_locks(paper.window)) == "message-starvation");
    lock.facts = {{"head_stayed", 5}, {"received", 2}};
    CHECK(judge_locks(paper.window).empty());
    lock.facts = {{"head_stayed", 1}, {"received", 400}};
    CHECK(judge_locks(paper.window).empty());
    paper.window.locks.clear();
  }
}

TEST_CASE("a writer that waits for room while its reader sleeps elsewhere", "[lock_rules]") {
  PaperWindow paper;
  const uint32_t writer = paper.thread(10, 10, "writer"), reader = paper.thread(20, 20, "reader");
  const auto add_pipe = [&] {
    LockUse& pipe = paper.lock("pipe:7", Kind::pipe, "pipe", WaitPurpose::room);
    pipe.source = HolderSource::waker;
    paper.wait(pipe, writer, reader, Waits{.count = 4, .each_ns = second});
  };
  SECTION("at something else") {
    LockUse& other = paper.lock("eventfd:4", Kind::eventfd, "eventfd", WaitPurpose::event);
    paper.wait(other, reader, no_index, Waits{.count = 4, .each_ns = second});
    add_pipe();
    const std::vector<Finding> found = judge_locks(paper.window);
    REQUIRE(rules(found) == "imbalance");
    CHECK(found[0].summary ==
          "writer[10] waits 80% of the time for room in pipe pipe:7 while its reader reader[20] "
          "sleeps at eventfd eventfd:4");
    CHECK(found[0].pids == std::vector<int32_t>{10, 20});
    CHECK(evidence(found[0], "overlap") == "at least 60% of the time both slept");
  }
  SECTION("in no channel, as the fact says") {
    add_pipe();
    paper.window.locks.back().facts = {{"reader_slept_ns", 4 * second}};
    CHECK(rules(judge_locks(paper.window)) == "imbalance");
  }
  SECTION("a pipeline with a slow end is only information") {
    LockUse& next = paper.lock("pipe:8", Kind::pipe, "pipe", WaitPurpose::room);
    next.source = HolderSource::waker;
    const uint32_t last = paper.thread(30, 30, "last");
    paper.wait(next, reader, last, Waits{.count = 4, .each_ns = second});
    add_pipe();
    const std::vector<Finding> found = judge_locks(paper.window);
    CHECK(rules(found) == "contention contention");
    CHECK(found[0].severity == Severity::info);
  }
  SECTION("two that take turns are not asleep at once") {
    LockUse& other = paper.lock("epoll:20:3", Kind::epoll, "epoll", WaitPurpose::event);
    paper.wait(other, reader, no_index, Waits{.count = 9, .each_ns = 100 * ms});
    add_pipe();
    CHECK_FALSE(has(judge_locks(paper.window), "imbalance"));
  }
}

TEST_CASE("the gravest comes first, and an empty window is quiet", "[lock_rules]") {
  CHECK(judge_locks(LockWindow{}).empty());
  PaperWindow paper;
  take_turns(paper, paper.mutex(), 3, 4 * ms);
  LockUse& dead = paper.mutex();
  dead.waits = dead.unfinished = 1;
  dead.facts = {{"owner_gone", 1}};
  CHECK(rules(judge_locks(paper.window)) == "owner-died contention");
}

}  // namespace ipcscope
