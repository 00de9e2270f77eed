// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <bitset>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "bpf/held.h"
#include "bpf/locks.h"
#include "collectors/base/proc_root.h"
#include "collectors/locks/lock_names.h"
#include "collectors/locks/lock_stacks.h"
#include "collectors/model/lock_window.h"

namespace ipcscope {

/// What a held_sort is.
Primitive taken_primitive(uint32_t held_sort);

/// Puts together what the kernel counted: one LockUse for each lock and purpose, whatever addresses
/// and descriptors it was reached through, with its pairs of threads.
class LockCounts {
 public:
  struct Window {
    uint64_t begin_ns, end_ns;  ///< CLOCK_MONOTONIC
    uint32_t epoch;
    std::bitset<kind_count> kinds;  ///< none set: all
  };
  LockCounts(LockNames& names, const ProcRoot& proc, Window window)
      : names_(names), proc_(proc), window_(window) {}

  /// Writers of an rwlock wait at this word for each other, where it is one. Before all others.
  void add_writers_word(const lock_key& key) { writers_words_.insert(key); }
  /// In this order: all locks, all pairs, all waits that are in progress.
  void add_lock(const lock_key& key, const lock_value& value);
  void add_pair(const pair_key& key, const pair_value& value);
  void add_pending(const lock_pending& pending);
  void add_fact(const lock_key& key, std::string_view name, uint64_t value);
  void add_stack(const LockStacks::Stack& stack);
  /// After all these: what was seen of takings, and of one lock within another.
  void add_hold(const hold_key& key, const hold_value& value);
  void add_order(const order_key& key, const order_value& value);
  /// Fills threads and locks, the costliest first.
  void finish(LockWindow& window);

 private:
  struct Use {
    LockUse use;
    const LockIdentity* identity = nullptr;
    std::map<std::pair<uint32_t, uint32_t>, size_t> pairs;  ///< by waiter and holder
    uint64_t owner_gone = 0;  ///< unfinished waits for a thread that is no more
  };
  struct Holder {
    uint32_t thread = no_index;
    HolderSource source = HolderSource::unknown;
  };
  Use* use_of(const lock_key& key);
  /// Where a lock is in uses_, and whether it is new there.
  std::pair<size_t, bool> place_of(const lock_key& key, const LockIdentity& lock,
                                   WaitPurpose purpose);
  void add_kept(Use& use, const lock_pending& pending);
  void add_to_write(LockPair& pair, const Use& use, const lock_key& key,
                    const LockPair::ToWrite& more) const;
  size_t taken_use(lock_key key, uint32_t held_sort);
  static void finish_holds(LockUse& lock);
  void note_who_is_left(Use& use);
  LockPair& pair_of(Use& use, uint32_t waiter, Holder holder);
  uint32_t thread(int32_t tid, int32_t pid, const char* comm);
  Holder holder_of(const Use& use, int32_t waiter_pid, uint32_t source, uint32_t holder,
                   const pair_value& waker);

  LockNames& names_;
  const ProcRoot& proc_;
  Window window_;
  std::vector<LockThread> threads_;
  std::unordered_map<int32_t, uint32_t> by_tid_;
  std::vector<Use> uses_;
  std::vector<LockOrder> orders_;  ///< of uses_
  std::map<std::pair<std::string, WaitPurpose>, size_t> by_id_;
  LockKeySet writers_words_;
  LockKeyMap<size_t> by_key_;
  std::unordered_map<int32_t, uint64_t>
      blocked_;                 ///< by process, threads that wait for others of it
  LockKeyMap<uint32_t> ended_;  ///< waits that ended, as the kernel counts them
};

}  // namespace ipcscope
