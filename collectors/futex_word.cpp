// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/futex_word.h"

#include <linux/futex.h>

#include <cstring>

namespace ipcscope {

namespace {

using Owner = FutexGuess::Owner;
using Live = std::function<bool(uint32_t)>;

constexpr uint32_t pid_limit = 4U << 20;  // PID_MAX_LIMIT, Linux include/linux/threads.h
constexpr uint32_t many = 1U << 20;       // more threads than this at one object are not plausible

bool plausible_count(uint32_t count, uint32_t least = 1) { return count >= least && count < many; }

/// glibc 2.36 nptl/pthreadP.h: type in the two low bits, robust 16, inherit 32, protect 64, shared
/// 128, elision 256 and 512.
bool plausible_kind(uint32_t kind) { return (kind & ~0x3f3U) == 0; }
constexpr uint32_t kind_robust = 16, kind_inherit = 32, type_recursive = 1;

/// Only robust and PI mutexes are on the list of their owner, whose links end a pthread_mutex_t.
bool has_empty_list(const FutexView& view, uint32_t kind) {
  if ((kind & (kind_robust | kind_inherit)) != 0) {
    return true;
  }
  return view.at(24) == 0U && view.at(28) == 0U && view.at(32) == 0U && view.at(36) == 0U;
}

FutexGuess held(Primitive primitive, uint32_t tid, const Live& live) {
  return live(tid) ? FutexGuess{primitive, Owner::thread, tid}
                   : FutexGuess{primitive, Owner::unknown, 0};
}

/// FUTEX_LOCK_PI: the kernel defines the word (futex(2)).
FutexGuess judge_pi(const FutexView& view, const Live& live) {
  const auto word = view.at(0);
  if (!word) {
    return {Primitive::pi_mutex, Owner::unknown, 0};
  }
  if ((*word & FUTEX_OWNER_DIED) != 0 && (*word & FUTEX_TID_MASK) == 0) {
    return {Primitive::pi_mutex, Owner::died, 0};
  }
  return held(Primitive::pi_mutex, *word & FUTEX_TID_MASK, live);
}

/// glibc pthread_mutex_t: __lock, __count, __owner, __nusers, __kind (sysdeps/nptl/bits/
/// struct_mutex.h). A waiter has set the lock to 2; a robust one holds the owner's TID and the bits
/// that the kernel defines.
std::optional<FutexGuess> judge_mutex(const FutexCall& call, const FutexView& view,
                                      const Live& live) {
  const auto word = view.at(0), count = view.at(4), owner = view.at(8), users = view.at(12);
  const auto kind = view.at(16);
  if (!word || !count || !owner || !users || !kind || *word != call.expected ||
      !plausible_kind(*kind)) {
    return std::nullopt;
  }
  if ((*word & FUTEX_WAITERS) != 0) {
    if ((*kind & kind_robust) == 0) {
      return std::nullopt;
    }
    if ((*word & FUTEX_OWNER_DIED) != 0 && (*word & FUTEX_TID_MASK) == 0) {
      return FutexGuess{Primitive::mutex, Owner::died, 0};
    }
    if (const uint32_t tid = *word & FUTEX_TID_MASK; live(tid)) {
      return FutexGuess{Primitive::mutex, Owner::thread, tid};
    }
    return std::nullopt;
  }
  // Other libraries' locks have a 2 there as well (Rust's), with the caller's data behind it, and
  // in a container small numbers are threads: so everything must look like glibc's.
  if (*word != 2 || *owner == 0 || *owner > pid_limit || !plausible_count(*users) ||
      (*count != 0) != ((*kind & 3) == type_recursive) || !has_empty_list(view, *kind)) {
    return std::nullopt;
  }
  if (live(*owner)) {
    return FutexGuess{Primitive::mutex, Owner::thread, *owner};
  }
  // A holder that ended without unlocking. Of shared memory one cannot say it, the number may be
  // of a PID namespace that is not ours to see.
  if (call.private_flag && (*kind & 128) == 0) {
    return FutexGuess{Primitive::mutex, Owner::died, 0};
  }
  return std::nullopt;
}

/// musl 1.2 pthread_mutex_t (src/internal/pthread_impl.h): _m_type, _m_lock, _m_waiters. All but
/// the normal type hold the TID in the lock; the normal one holds EBUSY.
std::optional<FutexGuess> judge_musl_mutex(const FutexCall& call, const FutexView& view,
                                           const Live& live) {
  const auto word = view.at(0), type = view.at(-4), waiters = view.at(4);
  if (!word || !type || !waiters || *word != call.expected || (*word & FUTEX_WAITERS) == 0 ||
      (*type & ~0x8fU) != 0 || (*type & 3U) == 0 || !plausible_count(*waiters)) {
    return std::nullopt;
  }
  const uint32_t tid = *word & FUTEX_TID_MASK;
  if (!live(tid)) {
    return std::nullopt;
  }
  return FutexGuess{Primitive::mutex, Owner::thread, tid};
}

/// glibc pthread_rwlock_t since 2.25 (nptl/pthread_rwlock_common.c): __readers at 0,
/// __wrphase_futex at 8, __writers_futex at 12, two words of padding, __cur_writer at 24, __shared
/// at 28. base: where it begins, from the futex word.
std::optional<FutexGuess> judge_rwlock(int base, const FutexCall& call, const FutexView& view,
                                       const Live& live) {
  constexpr uint32_t write_phase = 1, write_locked = 2, futex_used = 2;
  const auto word = view.at(0), readers = view.at(base), writer = view.at(base + 24);
  const auto shared = view.at(base + 28);
  if (!word || *word != call.expected || !readers || !writer || !shared ||
      view.at(base + 16) != 0U || view.at(base + 20) != 0U || *shared > 1 ||
      (*shared == 0) != call.private_flag || (*word & futex_used) == 0 ||
      (*readers & write_locked) == 0) {
    return std::nullopt;
  }
  const bool at_phase = base == -8;
  if ((*readers & write_phase) != 0) {
    if (*word != 3 || *writer == 0 || !live(*writer)) {
      return std::nullopt;
    }
    return FutexGuess{Primitive::rwlock, Owner::thread, *writer};
  }
  // The first writer waits for the readers to go, or others wait behind it: glibc counts the
  // readers and does not know them.
  if (!plausible_count(*readers >> 3) || *writer != 0 || *word != (at_phase ? 2U : 3U)) {
    return std::nullopt;
  }
  return FutexGuess{Primitive::rwlock, Owner::unknown, 0};
}

/// glibc pthread_cond_t: a thread waits at one of the two words of __g_signals. They are at 40 from
/// 2.25 to 2.40, behind __g_refs and __g_size, and at 32 since 2.41, without __g_refs.
bool is_condvar(const FutexCall& call, const FutexView& view, int base, bool has_references,
                int group) {
  const int last = has_references ? 36 : 28;  // __wrefs
  const auto sequence = view.at(base), start = view.at(base + 8), references = view.at(base + last);
  if (!sequence || !start || !references || view.at(0) != call.expected ||
      (call.address + static_cast<uint64_t>(static_cast<int64_t>(base))) % 8 != 0) {
    return false;
  }
  const uint32_t waiting = *references >> 3;  // three flags below it
  // bit 0 shared, bit 1 the clock
  if (((*references & 1) == 0) != call.private_flag || !plausible_count(waiting, call.waiters) ||
      *sequence >> 1 < waiting || *start >> 1 > *sequence >> 1) {
    return false;
  }
  if (has_references) {
    const auto group_references = view.at(base + 16 + 4 * group);
    return group_references && *group_references >> 1 >= 1 && *group_references >> 1 <= waiting;
  }
  return view.at(base + 40) == 0U && view.at(base + 44) == 0U;
}

/// glibc sem_t of 64-bit machines (sysdeps/nptl/internaltypes.h, struct new_sem): the value in the
/// low half of a 64-bit word, the number of waiters in the high one, then 0 or 128 for a shared
/// one.
bool is_semaphore(const FutexCall& call, const FutexView& view) {
  const auto waiters = view.at(4);
  return call.kind == FutexCallKind::wait_bitset && call.expected == 0 && view.at(0) == 0U &&
         waiters && plausible_count(*waiters, call.waiters) &&
         view.at(8) == (call.private_flag ? 0U : 128U) && call.address % 8 == 0;
}

/// glibc pthread_barrier_t since 2.25 (struct pthread_barrier): in, current_round, count, shared,
/// out. A thread waits at current_round.
bool is_barrier(const FutexCall& call, const FutexView& view) {
  const auto in = view.at(-4), round = view.at(0), count = view.at(4), out = view.at(12);
  return call.kind == FutexCallKind::wait && in && round && count && out &&
         *round == call.expected && plausible_count(*count, 2) &&
         view.at(8) == (call.private_flag ? 0U : 128U) && *in - *round >= call.waiters &&
         *in - *round < *count && *out <= *in;
}

/// pthread_join() waits for the kernel to clear the thread's TID, which wakes without the private
/// flag (set_tid_address(2)). glibc 2.36 nptl/descr.h, struct pthread: tid, an unused word, then
/// the list of robust mutexes, robust_prev and robust_head, empty when they point at the latter. It
/// is not when the thread holds such mutexes; then the head's futex_offset tells, from a mutex's
/// list to its lock word.
bool is_join(const FutexCall& call, const FutexView& view) {
  const auto word = view.at(0), low = view.at(8), high = view.at(12);
  const bool has_empty_list = low && high && (uint64_t{*high} << 32 | *low) == call.address + 16;
  const bool has_offset = view.at(24) == 0xffffffe0U && view.at(28) == 0xffffffffU;
  return !call.private_flag && word && *word == call.expected && *word != 0 && *word <= pid_limit &&
         (has_empty_list || has_offset);
}

}  // namespace

const char* primitive_name(Primitive primitive) {
  static constexpr std::array<const char*, 8> names = {
      "unknown", "mutex", "pi-mutex", "rwlock", "join", "condvar", "semaphore", "barrier",
  };
  return names[static_cast<size_t>(primitive)];
}

void FutexView::put(int offset, std::string_view bytes) {
  for (size_t i = 0; i < bytes.size(); i++) {
    const int at = before + offset + static_cast<int>(i);
    if (at >= 0 && at < before + after) {
      bytes_[static_cast<size_t>(at)] = bytes[i];
      known_[static_cast<size_t>(at)] = true;
    }
  }
}

std::optional<uint32_t> FutexView::at(int offset) const {
  const int first = before + offset;
  const int last = first + 3;
  if (first < 0 || last >= before + after || !known_[static_cast<size_t>(first)] ||
      !known_[static_cast<size_t>(last)]) {
    return std::nullopt;
  }
  uint32_t word = 0;
  std::memcpy(&word, &bytes_[static_cast<size_t>(first)], sizeof word);
  return word;
}

FutexGuess judge_futex(const FutexCall& call, const FutexView& view, const Live& live) {
  if (call.kind == FutexCallKind::lock_pi) {
    return judge_pi(view, live);
  }
  const auto word = view.at(0);
  if (!word || call.kind == FutexCallKind::wait_requeue_pi) {
    return {};
  }
  if (is_join(call, view) && live(*word)) {
    return {Primitive::join, Owner::thread, *word};
  }
  if (const auto mutex = judge_mutex(call, view, live)) {
    return *mutex;
  }
  if (const auto mutex = judge_musl_mutex(call, view, live)) {
    return *mutex;
  }
  for (const int base : {-8, -12}) {
    if (const auto lock = judge_rwlock(base, call, view, live)) {
      return *lock;
    }
  }
  for (const int group : {0, 1}) {
    if (is_condvar(call, view, -40 - 4 * group, true, group) ||
        is_condvar(call, view, -32 - 4 * group, false, group)) {
      return {Primitive::condvar, Owner::none_by_design, 0};
    }
  }
  if (is_semaphore(call, view)) {
    return {Primitive::semaphore, Owner::none_by_design, 0};
  }
  if (is_barrier(call, view)) {
    return {Primitive::barrier, Owner::none_by_design, 0};
  }
  return {};
}

}  // namespace ipcscope
