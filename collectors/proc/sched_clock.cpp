// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/proc/sched_clock.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>

#include "collectors/proc/task_files.h"

namespace ipcscope {

namespace {

using namespace std::chrono_literals;

/// A CPU that a real-time thread keeps for itself must not hold us up.
constexpr auto longest_first_round = 20ms;
constexpr auto pause = 100ms;

}  // namespace

SchedClock::SchedClock(const ProcRoot& root)
    : root_(root), times_(new std::atomic<uint64_t>[CPU_SETSIZE]()) {
  if (::sched_getaffinity(0, sizeof allowed_, &allowed_) != 0) {
    return;  // more CPUs than CPU_SETSIZE: no times
  }
  thread_ = std::thread([this] { run(); });
  std::unique_lock guard(lock_);
  if (!changed_.wait_for(guard, longest_first_round, [this] { return first_round_done_; })) {
    guard.unlock();
    set_free();
  }
}

SchedClock::~SchedClock() {
  {
    const std::lock_guard guard(lock_);
    stop_ = true;
    stopping_ = true;
  }
  changed_.notify_all();
  if (!thread_.joinable()) {
    return;
  }
  std::unique_lock guard(lock_);
  while (!changed_.wait_for(guard, longest_first_round, [this] { return finished_; })) {
    set_free();  // again, since it may have gone on to the next such CPU
  }
  guard.unlock();
  thread_.join();
}

/// Lets the visitor run anywhere, in case it waits for a CPU that it cannot get.
void SchedClock::set_free() const {
  if (const int tid = visitor_.load()) {
    ::sched_setaffinity(tid, sizeof allowed_, &allowed_);
  }
}

std::optional<uint64_t> SchedClock::now(int cpu) const {
  if (cpu < 0 || cpu >= CPU_SETSIZE) {
    return std::nullopt;
  }
  const uint64_t time = times_[static_cast<size_t>(cpu)].load(std::memory_order_relaxed);
  return time == 0 ? std::nullopt : std::optional(time);
}

bool SchedClock::visit(int cpu) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(static_cast<size_t>(cpu), &one);
  char path[64];
  std::snprintf(path, sizeof path, "self/task/%d/sched", visitor_.load());
  std::string text;
  // Being moved there sets exec_start anew; a thread that already is there is at most a tick late.
  if (::sched_setaffinity(0, sizeof one, &one) != 0 || !root_.read(path, text) ||
      ::sched_getcpu() != cpu) {
    return false;
  }
  const auto time = parse_sched(text).exec_start_ns;
  if (time) {
    times_[static_cast<size_t>(cpu)].store(*time, std::memory_order_relaxed);
  }
  return time.has_value();
}

void SchedClock::run() {
  visitor_ = static_cast<int>(::syscall(SYS_gettid));
  std::unique_lock guard(lock_);
  while (!stop_) {
    guard.unlock();
    const auto begin = std::chrono::steady_clock::now();
    bool any = false;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
      if (CPU_ISSET(static_cast<size_t>(cpu), &allowed_) && !stopping_) {
        any |= visit(cpu);
      }
    }
    ::sched_setaffinity(0, sizeof allowed_, &allowed_);
    const auto cost = std::chrono::steady_clock::now() - begin;
    guard.lock();
    first_round_done_ = true;
    changed_.notify_all();
    if (!any) {
      break;  // a kernel without CONFIG_SCHED_DEBUG
    }
    // At most one part in twenty of a CPU, however many there are.
    changed_.wait_for(guard, std::max<std::chrono::nanoseconds>(pause, cost * 20),
                      [this] { return stop_; });
  }
  finished_ = true;
  changed_.notify_all();
}

}  // namespace ipcscope
