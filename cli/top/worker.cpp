// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/top/worker.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <utility>

namespace ipcscope {

namespace {

using Clock = std::chrono::steady_clock;

/// Whether a frame is due at once: other rows on the screen are not reason enough.
bool is_urgent(const Wanted& before, const Wanted& now) {
  return before.tab != now.tab || before.paused != now.paused || before.detail != now.detail ||
         before.interval_ns != now.interval_ns;
}

}  // namespace

Worker::Worker(std::unique_ptr<Sampler> sampler, const Wanted& wanted)
    : sampler_(std::move(sampler)),
      ready_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      wanted_(wanted),
      thread_([this] { run(); }) {}

Worker::~Worker() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void Worker::want(const Wanted& wanted) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (wanted_ == wanted) {
      return;
    }
    wanted_ = wanted;
  }
  changed_.notify_one();
}

std::shared_ptr<const TopFrame> Worker::take() {
  const std::lock_guard<std::mutex> lock(mutex_);
  uint64_t count = 0;
  (void)!::read(ready_.get(), &count, sizeof count);
  return std::exchange(frame_, nullptr);
}

void Worker::publish(std::shared_ptr<const TopFrame> frame) {
  const std::lock_guard<std::mutex> lock(mutex_);
  frame_ = std::move(frame);
  const uint64_t one = 1;
  (void)!::write(ready_.get(), &one, sizeof one);
}

bool Worker::wait_until(Clock::time_point end, const Wanted& before) {
  constexpr std::chrono::milliseconds slice{100};
  std::unique_lock<std::mutex> lock(mutex_);
  while (!stop_ && !is_urgent(before, wanted_) && Clock::now() < end) {
    if (!sampler_->polls()) {
      changed_.wait_until(lock, end);
      continue;
    }
    lock.unlock();
    sampler_->poll(
        std::min(slice, std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now())));
    lock.lock();
  }
  return !stop_;
}

void Worker::run() {
  Wanted last;
  bool first = true;
  auto next = Clock::now();
  while (true) {
    Wanted wanted;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (stop_) {
        return;
      }
      wanted = wanted_;
    }
    const std::chrono::nanoseconds interval(wanted.interval_ns);
    const bool at_once = first || is_urgent(last, wanted);
    if (at_once) {
      // Another tab needs other probes, which have nothing to tell yet.
      if (first || last.tab != wanted.tab || last.paused != wanted.paused ||
          last.interval_ns != wanted.interval_ns) {
        next = Clock::now() + interval;
      }
      sampler_->prepare(wanted);
      publish(sampler_->sample(wanted, true));
    } else if (!wanted.paused && Clock::now() >= next) {
      publish(sampler_->sample(wanted, false));
      // Where a look takes longer than the interval, the next one is not to be about nothing.
      next = std::max(next + interval, Clock::now() + interval / 2);
    }
    last = wanted;
    first = false;
    const auto end = wanted.paused ? Clock::now() + std::chrono::hours(1) : next;
    if (!wait_until(end, wanted)) {
      return;
    }
  }
}

}  // namespace ipcscope
