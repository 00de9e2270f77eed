// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/futex_word.h"

#include <linux/futex.h>
#include <pthread.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <vector>

using namespace ipcscope;

namespace {

using Owner = FutexGuess::Owner;

/// Words of memory, the first of them at offset from the futex word.
FutexView view_of(int offset, const std::vector<uint32_t>& words) {
  FutexView view;
  view.put(offset, {reinterpret_cast<const char*>(words.data()), words.size() * 4});
  return view;
}

FutexCall call_of(uint32_t expected, bool private_flag = true) {
  FutexCall call;
  call.kind = FutexCallKind::wait_bitset;
  call.address = 0x7f0000001000;
  call.expected = expected;
  call.private_flag = private_flag;
  return call;
}

bool is_42(uint32_t number) { return number == 42; }

std::vector<uint32_t> mutex_words(uint32_t word, uint32_t owner, uint32_t kind = 0,
                                  uint32_t count = 0) {
  return {word, count, owner, 1, kind, 0, 0, 0, 0, 0};
}

}  // namespace

TEST_CASE("futex: a view knows what was put into it", "[futex]") {
  const FutexView view = view_of(-4, {1, 2});
  CHECK(view.at(-4) == 1U);
  CHECK(view.at(0) == 2U);
  CHECK_FALSE(view.at(4));
  CHECK_FALSE(view.at(-8));
  CHECK_FALSE(view.at(-2 - FutexView::before));
  CHECK_FALSE(view.at(FutexView::after - 2));
}

TEST_CASE("futex: glibc mutex", "[futex]") {
  const FutexGuess held = judge_futex(call_of(2), view_of(0, mutex_words(2, 42)), is_42);
  CHECK(held.primitive == Primitive::mutex);
  CHECK(held.owner == Owner::thread);
  CHECK(held.owner_tid == 42);
  const FutexGuess dead = judge_futex(call_of(2), view_of(0, mutex_words(2, 43)), is_42);
  CHECK(dead.primitive == Primitive::mutex);
  CHECK(dead.owner == Owner::died);
  // Shared: the number may be of a namespace that is not seen.
  const FutexGuess shared =
      judge_futex(call_of(2, false), view_of(0, mutex_words(2, 43, 128)), is_42);
  CHECK(shared.primitive == Primitive::unknown);
  const FutexGuess recursive =
      judge_futex(call_of(2), view_of(0, mutex_words(2, 42, PTHREAD_MUTEX_RECURSIVE, 1)), is_42);
  CHECK(recursive.owner_tid == 42);
}

TEST_CASE("futex: what only resembles a glibc mutex has no owner", "[futex]") {
  // The lock of another library: 2 means contended, the caller's data is behind it.
  for (const std::vector<uint32_t>& words : {mutex_words(2, 42, 7), mutex_words(2, 42, 0x12345),
                                             mutex_words(2, 42, 0, 9), mutex_words(2, 0)}) {
    CHECK(judge_futex(call_of(2), view_of(0, words), is_42).owner == Owner::unknown);
  }
  std::vector<uint32_t> list = mutex_words(2, 42);
  list[7] = 0x5555;
  CHECK(judge_futex(call_of(2), view_of(0, list), is_42).owner == Owner::unknown);
  std::vector<uint32_t> users = mutex_words(2, 42);
  users[3] = 0;
  CHECK(judge_futex(call_of(2), view_of(0, users), is_42).owner == Owner::unknown);
  // Unlocked since, or never read.
  CHECK(judge_futex(call_of(2), view_of(0, mutex_words(1, 42)), is_42).owner == Owner::unknown);
  CHECK(judge_futex(call_of(2), {}, is_42).primitive == Primitive::unknown);
  CHECK(judge_futex(call_of(2), view_of(0, {2, 0, 42}), is_42).owner == Owner::unknown);
}

TEST_CASE("futex: robust mutex, alive and dead", "[futex]") {
  const uint32_t word = FUTEX_WAITERS | 42;
  const FutexGuess held = judge_futex(call_of(word), view_of(0, mutex_words(word, 42, 16)), is_42);
  CHECK(held.owner == Owner::thread);
  CHECK(held.owner_tid == 42);
  const uint32_t died = FUTEX_WAITERS | FUTEX_OWNER_DIED;
  const FutexGuess dead = judge_futex(call_of(died), view_of(0, mutex_words(died, 42, 16)), is_42);
  CHECK(dead.primitive == Primitive::mutex);
  CHECK(dead.owner == Owner::died);
}

TEST_CASE("futex: priority inheritance is the kernel's own layout", "[futex]") {
  FutexCall call = call_of(0);
  call.kind = FutexCallKind::lock_pi;
  const FutexGuess held = judge_futex(call, view_of(0, {FUTEX_WAITERS | 42}), is_42);
  CHECK(held.primitive == Primitive::pi_mutex);
  CHECK(held.owner_tid == 42);
  CHECK(judge_futex(call, view_of(0, {FUTEX_WAITERS | 43}), is_42).owner == Owner::unknown);
  CHECK(judge_futex(call, view_of(0, {FUTEX_WAITERS | FUTEX_OWNER_DIED}), is_42).owner ==
        Owner::died);
  const FutexGuess unread = judge_futex(call, {}, is_42);
  CHECK(unread.primitive == Primitive::pi_mutex);
  CHECK(unread.owner == Owner::unknown);
}

TEST_CASE("futex: musl mutex", "[futex]") {
  const uint32_t word = FUTEX_WAITERS | 42;
  const FutexGuess held = judge_futex(call_of(word), view_of(-4, {1, word, 1, 0, 0}), is_42);
  CHECK(held.primitive == Primitive::mutex);
  CHECK(held.owner_tid == 42);
  // The normal type holds EBUSY instead.
  CHECK(judge_futex(call_of(word), view_of(-4, {0, word, 1, 0, 0}), is_42).owner == Owner::unknown);
  CHECK(judge_futex(call_of(word), view_of(-4, {1, word, 0, 0, 0}), is_42).owner == Owner::unknown);
}

TEST_CASE("futex: rwlock", "[futex]") {
  // readers, writers, wrphase_futex, writers_futex, two of padding, cur_writer, shared
  const std::vector<uint32_t> written = {3, 0, 3, 3, 0, 0, 42, 0};
  for (const int offset : {-8, -12}) {
    const FutexGuess held = judge_futex(call_of(3), view_of(offset, written), is_42);
    CHECK(held.primitive == Primitive::rwlock);
    CHECK(held.owner_tid == 42);
  }
  const std::vector<uint32_t> read_held = {1U << 3 | 2, 0, 2, 1, 0, 0, 0, 0};
  const FutexGuess unknown = judge_futex(call_of(2), view_of(-8, read_held), is_42);
  CHECK(unknown.primitive == Primitive::rwlock);
  CHECK(unknown.owner == Owner::unknown);
  std::vector<uint32_t> padding = written;
  padding[4] = 1;
  CHECK(judge_futex(call_of(3), view_of(-8, padding), is_42).primitive == Primitive::unknown);
}

TEST_CASE("futex: join", "[futex]") {
  FutexCall call = call_of(42, false);
  const auto words = [&](uint64_t link) {
    return std::vector<uint32_t>{42, 0, static_cast<uint32_t>(link),
                                 static_cast<uint32_t>(link >> 32)};
  };
  const FutexGuess joined = judge_futex(call, view_of(0, words(call.address + 16)), is_42);
  CHECK(joined.primitive == Primitive::join);
  CHECK(joined.owner_tid == 42);
  // Any number that happens to be a thread: in a container they are small.
  CHECK(judge_futex(call, view_of(0, words(0)), is_42).primitive == Primitive::unknown);
  call.private_flag = true;
  CHECK(judge_futex(call, view_of(0, words(call.address + 16)), is_42).primitive ==
        Primitive::unknown);
}

TEST_CASE("futex: primitives without an owner", "[futex]") {
  FutexCall call = call_of(0);
  // glibc 2.36: wseq, g1_start, g_refs, g_size, g1_orig_size, wrefs, g_signals
  const std::vector<uint32_t> condition = {2, 0, 0, 0, 2, 0, 0, 0, 0, 1U << 3, 0, 0};
  const FutexGuess waiting = judge_futex(call, view_of(-40, condition), is_42);
  CHECK(waiting.primitive == Primitive::condvar);
  CHECK(waiting.owner == Owner::none_by_design);
  CHECK(judge_futex(call, view_of(0, {0, 1, 0, 0}), is_42).primitive == Primitive::semaphore);
  CHECK(judge_futex(call, view_of(0, {0, 0, 0, 0}), is_42).primitive == Primitive::unknown);
  call.kind = FutexCallKind::wait;
  CHECK(judge_futex(call, view_of(-4, {1, 0, 2, 0, 0}), is_42).primitive == Primitive::barrier);
  CHECK(judge_futex(call, view_of(-4, {2, 0, 2, 0, 0}), is_42).primitive == Primitive::unknown);
  CHECK(judge_futex(call, view_of(-4, {0, 0, 0, 0, 0}), is_42).primitive == Primitive::unknown);
}
