// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "collectors/model/snapshot.h"

namespace ipcscope {

/// What a wait was for.
enum class WaitPurpose : uint8_t {
  lock,   ///< a holder to let go: mutexes, rwlocks, file locks, semaphores
  room,   ///< a reader to take something out of a full pipe, socket or queue
  data,   ///< a writer to put something into an empty one
  event,  ///< somebody to say that something happened: condition variables, barriers, eventfds,
          ///< ends
};
/// The word of JSON.
std::string_view purpose_name(WaitPurpose purpose);

/// How a wait ended.
enum class WaitEnd : uint8_t { woken, timed_out, interrupted, owner_died, count };
constexpr size_t wait_end_count = static_cast<size_t>(WaitEnd::count);
std::string_view wait_end_name(WaitEnd end);

/// How a holder is known.
enum class HolderSource : uint8_t {
  unknown,
  none_by_design,  ///< the primitive has no owner; who woke a waiter stands in as its releaser
  owner_word,      ///< the owner that the lock's memory named when the wait began
  file_lock,       ///< the kernel's blocking lock
  waker,           ///< who ended the wait
};
std::string_view holder_source_name(HolderSource source);

/// Counts of durations: four buckets to each power of two, from 1 ns on. Bucket i begins at
/// duration_of_bucket(i).
class DurationHistogram {
 public:
  static constexpr size_t per_octave = 4;
  static constexpr size_t octaves = 44;  ///< up to 4.8 hours, where the last bucket is open
  static constexpr size_t buckets = per_octave * octaves;

  void add(size_t bucket, uint64_t count) { counts_[bucket] += count; }
  void add(const DurationHistogram& other);
  [[nodiscard]] uint64_t count(size_t bucket) const { return counts_[bucket]; }
  /// Of all buckets of one power of two.
  [[nodiscard]] uint64_t octave(size_t power) const;
  [[nodiscard]] uint64_t total() const;
  /// ns, interpolated in its bucket; 0 when nothing was counted. share: 0 to 1.
  [[nodiscard]] uint64_t percentile(double share) const;
  static uint64_t duration_of_bucket(size_t bucket);  ///< ns
  static size_t bucket_of_duration(uint64_t ns);

 private:
  std::array<uint64_t, buckets> counts_{};
};

/// One thread that waited, held or woke. comm: raw bytes.
struct LockThread {
  int32_t pid = 0;  ///< 0: not seen
  int32_t tid = 0;
  std::string comm;
};

/// How often and how long one thread waited behind another at one lock.
struct LockPair {
  uint32_t waiter = no_index;  ///< into LockWindow::threads
  uint32_t holder = no_index;  ///< likewise; no_index: not known, or nobody by design
  HolderSource source = HolderSource::unknown;
  uint64_t waits = 0;
  uint64_t unfinished = 0;  ///< of these, still in progress when the window ended
  uint64_t wait_ns = 0;     ///< unfinished ones up to the end of the window
  uint64_t max_ns = 0;      ///< longest single wait
  /// How often others took the lock while this thread tried to: at least this many of them came
  /// after it. The worst attempt, and the sum of all. An attempt may consist of several waits,
  /// where a thread was woken and found the lock taken again.
  uint64_t overtakes_max = 0, overtakes = 0;
  uint64_t attempt_max_ns = 0;  ///< longest attempt: from its first wait to the end of its last
  uint64_t attempts = 0;
  uint64_t read_max_ns = 0;  ///< longest single wait that was to read an rwlock that a writer had
  /// Of these, those of one that wants to write an rwlock and waits for another writer: attempts of
  /// others at an rwlock cannot be told from each other.
  struct ToWrite {
    uint64_t waits = 0, wait_ns = 0, attempts = 0, attempt_max_ns = 0, overtakes_max = 0;
  } to_write;
};

/// Functions of a stack, innermost first, as text: "pthread_mutex_lock+0x12 (libc.so.6)".
struct LockStack {
  uint32_t thread = no_index;  ///< whose, into LockWindow::threads
  bool waker = false;          ///< else of one that waited
  uint64_t count = 0;          ///< how often it was seen
  std::vector<std::string> frames;
  std::string problem;  ///< why it may not be complete; empty: it is
};

/// How one thread took one lock, where every taking was seen. Times in ns.
struct LockHold {
  uint32_t thread = no_index;  ///< into LockWindow::threads
  uint64_t taken = 0;          ///< and let go of
  uint64_t total_ns = 0;
  uint64_t max_ns = 0;
  uint64_t given = 0;    ///< let go of, but not seen taken: posts of a semaphore
  uint64_t signals = 0;  ///< of a condition variable
};

/// A lock or queue that made somebody wait, one for each purpose. Where every taking was seen,
/// those at which nobody waited are there as well.
struct LockUse {
  std::string id;  ///< channel id; raw bytes, as name
  Kind kind = Kind::futex;
  std::string name;       ///< symbol, mapping and offset, or path; empty: none found
  std::string primitive;  ///< "mutex", "rwlock", "semaphore", "pipe", "flock" ...; "unknown"
  WaitPurpose purpose = WaitPurpose::lock;
  std::string operation;                        ///< of the last wait: "futex_wait", "write", ...
  HolderSource source = HolderSource::unknown;  ///< the best that any pair has
  uint64_t waits = 0;                           ///< finished and unfinished
  uint64_t unfinished = 0;                      ///< still in progress when the window ended
  uint64_t total_ns = 0;                        ///< unfinished ones up to the end of the window
  uint64_t max_ns = 0;
  DurationHistogram histogram;                  ///< of finished and unfinished waits
  std::array<uint64_t, wait_end_count> ends{};  ///< of the finished ones, by WaitEnd
  uint64_t woken_again = 0;  ///< waits that found the lock taken when they were woken
  /// Between two wake-ups, or from a wait's begin to one, by the thread that held it all along as
  /// far as could be seen: it may have let go and taken it again while nobody was awake to take it.
  uint64_t longest_hold_ns = 0;
  uint64_t attempt_p50_ns = 0;  ///< median over threads of their mean attempt; 0: none ended
  std::vector<LockPair> pairs;
  std::vector<LockStack> stacks;  ///< only where asked for
  // Only where every taking was seen:
  std::vector<LockHold> holds;  ///< those that took it most often first
  DurationHistogram held;       ///< how long, from when it was had to when it was let go of
  /// Facts of the object itself, by key, where the window looked at them:
  ///   readers_seen     looks at which readers had an rwlock while a writer waited
  ///   readers_changed  of these, looks at which there were other readers than at the one before
  ///   writers_returned writers that had an rwlock, and then again after another one, in a span of
  ///                    looks at which readers waited
  ///   readers_kept_ns  how long that span was
  ///   head_stayed      looks in a row at which the oldest message of a queue was the same
  ///   received         messages that were taken out of the queue meanwhile
  ///   owner_gone       threads that wait at the end for an owner that has ended
  ///   releasers_left   threads that could end the waits that are unfinished: all of the process
  ///   but
  ///                    those that wait at its futexes themselves, without a limit
  ///   reader_slept_ns  how long the reader of a channel slept without waiting for its data
  std::vector<std::pair<std::string, uint64_t>> facts;
};

/// A thread tried to take a lock while it held another one.
struct LockOrder {
  uint32_t held = no_index, wanted = no_index;      ///< into LockWindow::locks
  bool held_shared = false, wanted_shared = false;  ///< for reading
  uint64_t count = 0;
  uint32_t thread = no_index;  ///< the first that did; into LockWindow::threads
  bool several = false;        ///< other threads did, too
  /// Further locks that were held each time; up to two of them.
  std::vector<uint32_t> guards;
};

/// How every taking of locks was seen, and what that costs.
struct DeepFacts {
  uint32_t probes = 0;
  uint32_t stepped = 0;  ///< of these, at instructions that the kernel does not emulate
  std::optional<uint64_t> call_ns, stepped_call_ns;  ///< that a call takes longer, as tried before
  uint64_t calls = 0;                                ///< of the probed functions; about
  uint64_t lost_holds = 0;   ///< takings at locks that did not fit into the kernel's map
  uint64_t lost_orders = 0;  ///< likewise, of orders
  uint64_t lost_held = 0;    ///< locks of threads that had too many at a time
};

/// What one window of measuring saw.
struct LockWindow {
  std::string host;
  std::string kernel;
  int64_t time_ns = 0;  ///< CLOCK_REALTIME at its end
  int64_t boot_ns = 0;
  uint64_t window_ns = 0;
  std::vector<Coverage> coverage;
  std::vector<LockThread> threads;
  std::vector<LockUse> locks;
  uint64_t lost_locks = 0;  ///< waits at locks that did not fit into the kernel's map
  uint64_t lost_pairs = 0;  ///< waits counted at their lock, but in no pair
  std::optional<DeepFacts> deep;
  std::vector<LockOrder> orders;
};

}  // namespace ipcscope
