// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "bpf/locks.h"
#include "collectors/base/proc_root.h"
#include "collectors/futex_word.h"
#include "collectors/model/lock_window.h"
#include "collectors/stacks.h"

namespace ipcscope {

/// A key of the kernel's map as a number-like thing.
struct LockKeyHash {
  size_t operator()(const lock_key& key) const {
    return static_cast<size_t>((key.object ^ (uint64_t{key.space} << 32)) * 0x9e3779b97f4a7c15ULL ^
                               (uint64_t{key.wait} << 8 | key.purpose));
  }
};
struct LockKeyEqual {
  bool operator()(const lock_key& a, const lock_key& b) const {
    return a.object == b.object && a.space == b.space && a.wait == b.wait && a.purpose == b.purpose;
  }
};
template <typename Value>
using LockKeyMap = std::unordered_map<lock_key, Value, LockKeyHash, LockKeyEqual>;
using LockKeySet = std::unordered_set<lock_key, LockKeyHash, LockKeyEqual>;

/// What a lock of the kernel's map is.
struct LockIdentity {
  std::string id;
  Kind kind = Kind::futex;
  std::string name;
  std::string primitive;
  Primitive futex = Primitive::unknown;
  WaitPurpose purpose = WaitPurpose::lock;
  std::string operation;
  bool is_ipc = true;  ///< false: a device, a disk
  bool resolved = false;
  int32_t pid = 0;  ///< futex: a process that has the word, and where
  uint64_t address = 0;
  std::optional<std::pair<uint64_t, uint64_t>>
      shared;  ///< futex: inode and offset of shared memory
};

/// Finds out what locks are, while the processes at them live.
class LockNames {
 public:
  explicit LockNames(const ProcRoot& proc) : proc_(proc), stacks_(proc) {}

  /// The first wait at a lock. The result lives as long as this.
  const LockIdentity& learn(const lock_news& news, const lock_value& value);
  /// What was learnt, or what can still be said of a lock that no news told of.
  const LockIdentity& identity(const lock_key& key, const lock_value& value);
  /// A lock of a process that was seen to be taken, by its address in key. Waits at any of its
  /// words are waits at this lock.
  const LockIdentity& learn_taken(const lock_key& key, Primitive primitive);
  /// Looks again at futexes whose primitive could not be told when they were first seen: one that
  /// was just being let go of looks like none.
  void judge_again();
  /// A thread waited behind a thread that a word beside the futex named: so it is a mutex, if
  /// nothing better is known.
  void note_owner(const lock_key& key, int32_t waiter_pid, uint32_t owner);
  /// Looks for the files among the locks in one snapshot, when some are not known yet. At most a
  /// twentieth of the time goes into that unless it is the last chance.
  void look_at_files(bool last_chance);
  /// Every lock whose primitive is known, as it is asked for.
  [[nodiscard]] const LockKeyMap<LockIdentity>& all() const { return locks_; }
  /// Finds the symbols of some of the futexes that have none yet, for a few milliseconds: when the
  /// window ends their processes may have ended, too.
  void name_some();
  /// The thread that a number of a process's PID namespace means, in ipcscope's; 0: none that
  /// lives.
  int32_t thread_of(int32_t pid, uint32_t number);

 private:
  struct Mapping {
    uint64_t start, end, offset, inode;
    uint32_t device;
    bool shared;
    std::string path;
  };
  struct Space {
    std::vector<Mapping> mappings;
    std::chrono::steady_clock::time_point read_at;
  };
  const Mapping* mapping_at(int32_t pid, uint64_t address);
  void learn_futex(LockIdentity& lock, const lock_key& key, const FutexCall& call,
                   const FutexView& view, int32_t pid);
  [[nodiscard]] Primitive primitive_beside(lock_key key) const;
  void place_futex(LockIdentity& lock, const lock_key& key, bool is_private);
  void judge(LockIdentity& lock, const FutexCall& call, const FutexView& view);
  void learn_file(LockIdentity& lock, const lock_key& key, const lock_value& value);
  [[nodiscard]] std::string link_of(const lock_value& value) const;

  const ProcRoot& proc_;
  StackReader stacks_;
  LockKeyMap<LockIdentity> locks_;
  struct Unknown {
    lock_key key;
    lock_value value;
  };
  std::vector<Unknown> unknown_files_;
  struct Unjudged {
    lock_key key;
    FutexCall call;
    int tries;
  };
  std::vector<Unjudged> unjudged_;
  std::vector<lock_key> unnamed_;
  size_t named_ = 0;
  std::unordered_map<int32_t, Space> spaces_;
  std::unordered_map<int32_t, std::pair<std::chrono::steady_clock::time_point,
                                        std::unordered_map<uint32_t, int32_t>>>
      nested_threads_;
  std::chrono::steady_clock::time_point next_look_{};
};

}  // namespace ipcscope
