// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/locks/lock_counts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>

#include "collectors/base/parse.h"

namespace ipcscope {

namespace {

std::string name_of(const char* comm) { return {comm, ::strnlen(comm, 16)}; }

bool has_owner(Primitive primitive) {
  return primitive == Primitive::mutex || primitive == Primitive::pi_mutex ||
         primitive == Primitive::rwlock;
}

/// Whether the word that the kernel took for an owner is where this primitive has it.
bool agrees(Primitive primitive, uint32_t source) {
  switch (primitive) {
    case Primitive::mutex:
      return source == HOLDER_AT_8 || source == HOLDER_WORD;
    case Primitive::pi_mutex:
      return source == HOLDER_WORD;
    case Primitive::rwlock:
      return source == HOLDER_AT_12 || source == HOLDER_AT_16;
    case Primitive::unknown:
      return source == HOLDER_WORD;
    default:
      return false;
  }
}

/// Where within a lock its waits are (glibc 2.36).
struct TakenSort {
  Primitive primitive;
  std::array<uint64_t, 3> words;
};
constexpr TakenSort taken_sorts[] = {{Primitive::mutex, {0, 0, 0}},
                                     {Primitive::rwlock, {8, 12, 0}},
                                     {Primitive::semaphore, {0, 0, 0}},
                                     {Primitive::condvar, {40, 44, 0}}};

}  // namespace

Primitive taken_primitive(uint32_t held_sort) {
  return taken_sorts[held_sort % std::size(taken_sorts)].primitive;
}

uint32_t LockCounts::thread(int32_t tid, int32_t pid, const char* comm) {
  if (tid <= 0) {
    return no_index;
  }
  const auto [found, is_new] = by_tid_.try_emplace(tid, static_cast<uint32_t>(threads_.size()));
  if (is_new) {
    threads_.push_back({pid, tid, comm != nullptr ? name_of(comm) : std::string()});
  } else if (comm != nullptr && threads_[found->second].comm.empty()) {
    threads_[found->second].comm = name_of(comm);
    threads_[found->second].pid = pid;
  }
  return found->second;
}

LockCounts::Use* LockCounts::use_of(const lock_key& key) {
  const auto found = by_key_.find(key);
  return found == by_key_.end() ? nullptr : &uses_[found->second];
}

std::pair<size_t, bool> LockCounts::place_of(const lock_key& key, const LockIdentity& lock,
                                             WaitPurpose purpose) {
  const auto [place, is_new] = by_id_.try_emplace({lock.id, purpose}, uses_.size());
  by_key_[key] = place->second;
  if (is_new) {
    Use& use = uses_.emplace_back();
    use.identity = &lock;
    use.use.id = lock.id;
    use.use.kind = lock.kind;
    use.use.name = lock.name;
    use.use.primitive = lock.primitive;
    use.use.purpose = purpose;
  }
  return {place->second, is_new};
}

void LockCounts::add_lock(const lock_key& key, const lock_value& value) {
  ended_[key] = value.ended;
  const LockIdentity& lock = names_.identity(key, value);
  if (!lock.is_ipc ||
      (window_.kinds.any() && !window_.kinds.test(static_cast<size_t>(lock.kind)))) {
    return;
  }
  // A descriptor is waited at for one purpose or another; what a futex is for, it tells itself.
  const WaitPurpose purpose =
      key.wait == WAIT_AT_FUTEX ? lock.purpose : static_cast<WaitPurpose>(key.purpose);
  const auto [place, is_new] = place_of(key, lock, purpose);
  if (is_new) {
    uses_[place].use.operation = lock.operation;
  }
  if (value.epoch != window_.epoch) {
    return;
  }
  LockUse& use = uses_[place].use;
  use.waits += value.waits;
  use.total_ns += value.total;
  use.max_ns = std::max<uint64_t>(use.max_ns, value.longest);
  use.woken_again += value.woken_again;
  use.longest_hold_ns = std::max<uint64_t>(use.longest_hold_ns, value.hold);
  for (size_t i = 0; i < wait_end_count; i++) {
    use.ends[i] += value.ends[i];
  }
  for (size_t i = 0; i < LOCK_BUCKETS; i++) {
    if (value.histogram[i] != 0) {
      use.histogram.add(i, value.histogram[i]);
    }
  }
}

LockCounts::Holder LockCounts::holder_of(const Use& use, int32_t waiter_pid, uint32_t source,
                                         uint32_t holder, const pair_value& waker) {
  const Primitive primitive = use.identity->futex;
  const bool futex = use.use.kind == Kind::futex || use.use.kind == Kind::posixsem;
  if (source == HOLDER_FILE) {
    return {thread(static_cast<int32_t>(holder), static_cast<int32_t>(holder), nullptr),
            HolderSource::file_lock};
  }
  if (futex && source != HOLDER_WAKER && agrees(primitive, source)) {
    const int32_t tid = names_.thread_of(waiter_pid, holder);
    if (tid != 0) {
      return {thread(tid, 0, nullptr), HolderSource::owner_word};
    }
    if (primitive != Primitive::unknown) {
      // It may have ended since; its number is known all the same.
      return {thread(static_cast<int32_t>(holder), 0, nullptr), HolderSource::owner_word};
    }
  }
  const bool owned = (futex && (has_owner(primitive) || primitive == Primitive::unknown)) ||
                     use.use.kind == Kind::flock || use.use.kind == Kind::fcntl ||
                     use.use.kind == Kind::ofd;
  const uint32_t woke = waker.waker != 0
                            ? thread(static_cast<int32_t>(waker.waker),
                                     static_cast<int32_t>(waker.waker_pid), waker.waker_comm)
                            : no_index;
  if (!owned) {
    return {woke, HolderSource::none_by_design};
  }
  return {woke, woke == no_index ? HolderSource::unknown : HolderSource::waker};
}

LockPair& LockCounts::pair_of(Use& use, uint32_t waiter, Holder holder) {
  const auto [place, is_new] = use.pairs.try_emplace({waiter, holder.thread}, use.use.pairs.size());
  if (is_new) {
    LockPair& pair = use.use.pairs.emplace_back();
    pair.waiter = waiter;
    pair.holder = holder.thread;
    pair.source = holder.source;
  }
  return use.use.pairs[place->second];
}

void LockCounts::add_pair(const pair_key& key, const pair_value& value) {
  Use* use = use_of(key.lock);
  if (use == nullptr || value.epoch != window_.epoch) {
    return;
  }
  const auto pid = static_cast<int32_t>(value.waiter_pid);
  const uint32_t waiter = thread(static_cast<int32_t>(key.waiter), pid, value.waiter_comm);
  LockPair& pair = pair_of(*use, waiter, holder_of(*use, pid, key.source, key.holder, value));
  pair.waits += value.waits;
  pair.wait_ns += value.total;
  pair.max_ns = std::max<uint64_t>(pair.max_ns, value.longest);
  pair.overtakes += value.overtakes;
  pair.overtakes_max = std::max<uint64_t>(pair.overtakes_max, value.overtakes_max);
  pair.attempts += value.attempts;
  if (key.source == HOLDER_AT_16) {
    pair.read_max_ns = std::max<uint64_t>(pair.read_max_ns, value.longest);
  }
  pair.attempt_max_ns = std::max<uint64_t>(pair.attempt_max_ns, value.attempt_max);
  add_to_write(pair, *use, key.lock,
               {value.waits, value.total, value.attempts, value.attempt_max, value.overtakes_max});
}

void LockCounts::add_to_write(LockPair& pair, const Use& use, const lock_key& key,
                              const LockPair::ToWrite& more) const {
  if (use.use.primitive != "rwlock" || writers_words_.count(key) == 0) {
    return;
  }
  LockPair::ToWrite& sum = pair.to_write;
  sum.waits += more.waits;
  sum.wait_ns += more.wait_ns;
  sum.attempts += more.attempts;
  sum.attempt_max_ns = std::max(sum.attempt_max_ns, more.attempt_max_ns);
  sum.overtakes_max = std::max(sum.overtakes_max, more.overtakes_max);
}

/// Waits that the kernel has not counted yet.
void LockCounts::add_kept(Use& use, const lock_pending& pending) {
  const lock_wait& wait = pending.wait;
  if (wait.kept == 0 || wait.kept_epoch != window_.epoch) {
    return;
  }
  pair_value waker{};
  waker.waker = wait.kept_woken != 0 ? wait.waker : 0;
  waker.waker_pid = wait.waker_pid;
  std::memcpy(waker.waker_comm, wait.waker_comm, sizeof waker.waker_comm);
  const auto pid = static_cast<int32_t>(pending.pid);
  const uint32_t waiter = thread(static_cast<int32_t>(pending.tid), pid, pending.comm);
  LockPair& pair =
      pair_of(use, waiter, holder_of(use, pid, wait.kept_source, wait.kept_holder, waker));
  const bool reads = wait.kept_source == HOLDER_AT_16;
  const size_t kept = std::min<size_t>(wait.kept, KEPT_MAX);
  LockPair::ToWrite to_write = {kept, 0, kept - wait.kept_again, wait.kept_attempt_max,
                                wait.kept_overtakes_max};
  for (size_t i = 0; i < kept; i++) {
    const uint64_t length = wait.kept_ns[i];
    to_write.wait_ns += length;
    to_write.attempt_max_ns = std::max(to_write.attempt_max_ns, length);
    use.use.total_ns += length;
    use.use.max_ns = std::max(use.use.max_ns, length);
    use.use.histogram.add(DurationHistogram::bucket_of_duration(length), 1);
    pair.wait_ns += length;
    pair.max_ns = std::max(pair.max_ns, length);
    pair.read_max_ns = reads ? std::max(pair.read_max_ns, length) : pair.read_max_ns;
    pair.attempt_max_ns = std::max(pair.attempt_max_ns, length);
  }
  use.use.waits += kept;
  use.use.woken_again += wait.kept_again;
  use.use.ends[wait.kept_end % wait_end_count] += kept;
  pair.waits += kept;
  pair.attempts += kept - wait.kept_again;
  pair.attempt_max_ns = std::max<uint64_t>(pair.attempt_max_ns, wait.kept_attempt_max);
  pair.overtakes += wait.kept_overtakes;
  pair.overtakes_max = std::max<uint64_t>(pair.overtakes_max, wait.kept_overtakes_max);
  add_to_write(pair, use, wait.key, to_write);
}

void LockCounts::add_pending(const lock_pending& pending) {
  const lock_wait& wait = pending.wait;
  if (pending.waits != 0 && wait.key.wait == WAIT_AT_FUTEX && wait.limited == 0) {
    blocked_[static_cast<int32_t>(pending.pid)]++;
  }
  Use* use = use_of(wait.key);
  if (use == nullptr) {
    return;
  }
  add_kept(*use, pending);
  if (pending.waits == 0) {
    return;
  }
  const uint64_t begin = std::max<uint64_t>(wait.begin, window_.begin_ns);
  const uint64_t length = window_.end_ns > begin ? window_.end_ns - begin : 0;
  const auto pid = static_cast<int32_t>(pending.pid);
  const uint32_t waiter = thread(static_cast<int32_t>(pending.tid), pid, pending.comm);
  use->use.waits++;
  use->use.unfinished++;
  use->use.woken_again += wait.again;
  use->use.total_ns += length;
  use->use.max_ns = std::max(use->use.max_ns, length);
  use->use.histogram.add(DurationHistogram::bucket_of_duration(length), 1);
  const Holder holder = holder_of(*use, pid, wait.source, wait.holder, {});
  if (holder.source == HolderSource::owner_word && names_.thread_of(pid, wait.holder) == 0) {
    use->owner_gone++;
  }
  LockPair& pair = pair_of(*use, waiter, holder);
  pair.waits++;
  pair.unfinished++;
  pair.wait_ns += length;
  pair.max_ns = std::max(pair.max_ns, length);
  if (wait.source == HOLDER_AT_16) {
    pair.read_max_ns = std::max(pair.read_max_ns, length);
  }
  if (wait.attempt_begin == 0) {
    pair.attempts++;
    pair.attempt_max_ns = std::max(pair.attempt_max_ns, length);
    return;
  }
  const uint32_t ended = ended_[wait.key] - wait.ended_before;
  const uint64_t overtakes = ended > wait.waiting_before ? ended - wait.waiting_before : 0U;
  pair.overtakes += overtakes > wait.overtakes ? overtakes - wait.overtakes : 0;
  pair.overtakes_max = std::max(pair.overtakes_max, overtakes);
  const uint64_t attempts = wait.again != 0 ? 0 : 1;
  const uint64_t attempt_ns =
      window_.end_ns > wait.attempt_begin ? window_.end_ns - wait.attempt_begin : 0;
  pair.attempts += attempts;
  pair.attempt_max_ns = std::max(pair.attempt_max_ns, attempt_ns);
  add_to_write(pair, *use, wait.key, {1, length, attempts, attempt_ns, overtakes});
}

void LockCounts::add_fact(const lock_key& key, std::string_view name, uint64_t value) {
  if (Use* use = use_of(key); use != nullptr) {
    use->use.facts.emplace_back(name, value);
  }
}

void LockCounts::add_stack(const LockStacks::Stack& stack) {
  Use* use = use_of(stack.lock);
  if (use == nullptr) {
    return;
  }
  const uint32_t whose =
      thread(stack.tid, stack.pid, stack.comm.empty() ? nullptr : stack.comm.c_str());
  use->use.stacks.push_back({whose, stack.waker, stack.count, stack.frames, stack.problem});
}

/// The lock that has this address.
size_t LockCounts::taken_use(lock_key key, uint32_t held_sort) {
  const TakenSort& known = taken_sorts[held_sort % std::size(taken_sorts)];
  for (const uint64_t word : known.words) {
    lock_key at = key;
    at.object += word;
    if (const auto found = by_key_.find(at); found != by_key_.end()) {
      return found->second;
    }
  }
  const LockIdentity& lock = names_.learn_taken(key, known.primitive);
  const auto [place, is_new] = place_of(key, lock, lock.purpose);
  if (is_new) {
    uses_[place].use.source =
        has_owner(lock.futex) ? HolderSource::unknown : HolderSource::none_by_design;
  }
  return place;
}

void LockCounts::add_hold(const hold_key& key, const hold_value& value) {
  if (value.epoch != window_.epoch || (value.taken | value.given | value.signals) == 0) {
    return;
  }
  LockUse& use = uses_[taken_use(key.lock, key.sort)].use;
  const uint32_t whose =
      thread(static_cast<int32_t>(key.tid), static_cast<int32_t>(value.pid), value.comm);
  use.holds.push_back({whose, value.taken, value.total, value.longest, value.given, value.signals});
  for (size_t i = 0; i < LOCK_BUCKETS; i++) {
    if (value.histogram[i] != 0) {
      use.held.add(i, value.histogram[i]);
    }
  }
}

void LockCounts::add_order(const order_key& key, const order_value& value) {
  const auto lock_at = [&](uint64_t address, uint32_t held_sort) {
    lock_key lock{};
    lock.object = address;
    lock.space = key.space;
    lock.wait = WAIT_AT_FUTEX;
    lock.purpose = LOCK_FOR_LOCK;
    return static_cast<uint32_t>(taken_use(lock, held_sort));
  };
  LockOrder order;
  order.held = lock_at(key.held, key.held_sort);
  order.wanted = lock_at(key.wanted, key.wanted_sort);
  order.held_shared = key.held_shared != 0;
  order.wanted_shared = key.wanted_shared != 0;
  order.count = value.epoch == window_.epoch ? value.count : 0;
  order.thread =
      thread(static_cast<int32_t>(value.tid), static_cast<int32_t>(value.pid), value.comm);
  order.several = value.several != 0;
  for (const uint64_t guard : value.guards) {
    if (guard != 0) {
      order.guards.push_back(lock_at(guard, HELD_MUTEX));
    }
  }
  orders_.push_back(std::move(order));
}

/// One entry for each thread: of memory that is shared, or of several words, there may be more.
void LockCounts::finish_holds(LockUse& lock) {
  std::vector<LockHold>& holds = lock.holds;
  std::stable_sort(holds.begin(), holds.end(),
                   [](const LockHold& a, const LockHold& b) { return a.thread < b.thread; });
  size_t kept = 0;
  for (size_t i = 0; i < holds.size(); i++) {
    if (kept == 0 || holds[kept - 1].thread != holds[i].thread) {
      holds[kept++] = holds[i];
      continue;
    }
    LockHold& into = holds[kept - 1];
    into.taken += holds[i].taken;
    into.total_ns += holds[i].total_ns;
    into.max_ns = std::max(into.max_ns, holds[i].max_ns);
    into.given += holds[i].given;
    into.signals += holds[i].signals;
  }
  holds.resize(kept);
  std::stable_sort(holds.begin(), holds.end(), [](const LockHold& a, const LockHold& b) {
    return a.taken + a.given + a.signals > b.taken + b.given + b.signals;
  });
}

/// Who could still end the waits for an event in memory that no other process has: threads that do
/// not themselves wait for another one without a time limit.
void LockCounts::note_who_is_left(Use& use) {
  LockUse& lock = use.use;
  if (use.owner_gone != 0) {
    lock.facts.emplace_back("owner_gone", use.owner_gone);
  }
  if (lock.kind != Kind::futex || has_owner(use.identity->futex) || lock.unfinished == 0 ||
      use.identity->shared) {
    return;
  }
  const int32_t pid = use.identity->pid;
  const Result<std::vector<int>> threads = proc_.numbers(fmt::format("{}/task", pid).c_str());
  if (threads && threads->size() >= blocked_[pid]) {
    lock.facts.emplace_back("releasers_left", threads->size() - blocked_[pid]);
  }
}

void LockCounts::finish(LockWindow& window) {
  for (LockThread& each : threads_) {
    if (each.pid != 0 && !each.comm.empty()) {
      continue;
    }
    // A holder that never waited itself.
    const Result<std::string> status = proc_.read(fmt::format("{}/status", each.tid));
    std::string_view rest = status ? std::string_view(*status) : std::string_view();
    while (!rest.empty()) {
      std::string_view line = next_line(rest);
      const std::string_view key = next_word(line);
      if (key == "Tgid:") {
        each.pid = next_number<int32_t>(line).value_or(0);
      }
    }
    if (const Result<std::string> comm = proc_.read(fmt::format("{}/comm", each.tid))) {
      each.comm = comm->substr(0, comm->find_last_not_of('\n') + 1);
    }
  }
  std::vector<char> ordered(uses_.size());
  for (const LockOrder& each : orders_) {
    ordered[each.held] = ordered[each.wanted] = 1;
    for (const uint32_t guard : each.guards) {
      ordered[guard] = 1;
    }
  }
  std::vector<Use*> order;
  order.reserve(uses_.size());
  for (Use& use : uses_) {
    const auto index = static_cast<size_t>(&use - uses_.data());
    if (use.use.waits != 0 || !use.use.holds.empty() || ordered[index] != 0) {
      order.push_back(&use);
    }
  }
  std::stable_sort(order.begin(), order.end(),
                   [](const Use* a, const Use* b) { return a->use.total_ns > b->use.total_ns; });
  std::vector<uint32_t> places(uses_.size(), no_index);
  for (Use* use : order) {
    LockUse& lock = use->use;
    note_who_is_left(*use);
    finish_holds(lock);
    places[static_cast<size_t>(use - uses_.data())] = static_cast<uint32_t>(window.locks.size());
    std::map<uint32_t, std::pair<uint64_t, uint64_t>> by_waiter;  // time, attempts
    for (const LockPair& pair : lock.pairs) {
      auto& [time, attempts] = by_waiter[pair.waiter];
      time += pair.wait_ns;
      attempts += pair.attempts;
      if (pair.source != HolderSource::unknown &&
          (lock.source == HolderSource::unknown || pair.source == HolderSource::owner_word ||
           pair.source == HolderSource::file_lock)) {
        lock.source = pair.source;
      }
    }
    std::vector<uint64_t> means;
    means.reserve(by_waiter.size());
    for (const auto& [waiter, sums] : by_waiter) {
      means.push_back(sums.first / std::max<uint64_t>(sums.second, 1));
    }
    if (!means.empty()) {
      std::nth_element(means.begin(), means.begin() + static_cast<ptrdiff_t>(means.size() / 2),
                       means.end());
      lock.attempt_p50_ns = means[means.size() / 2];
    }
    std::stable_sort(lock.pairs.begin(), lock.pairs.end(),
                     [](const LockPair& a, const LockPair& b) { return a.wait_ns > b.wait_ns; });
    window.locks.push_back(std::move(lock));
  }
  for (LockOrder& each : orders_) {
    each.held = places[each.held];
    each.wanted = places[each.wanted];
    for (uint32_t& guard : each.guards) {
      guard = places[guard];
    }
  }
  window.orders = std::move(orders_);
  window.threads = std::move(threads_);
}

}  // namespace ipcscope
