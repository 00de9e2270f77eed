// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/locks/wake_cost.h"

#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <ctime>
#include <thread>

#include "collectors/base/fd.h"

namespace ipcscope {

namespace {

uint64_t own_cpu_ns() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000U + static_cast<uint64_t>(time.tv_nsec);
}

}  // namespace

uint64_t measure_wake_cost_ns() {
  // As seldom as at a lock that is held for a while: what is woken again at once is in the caches.
  constexpr std::chrono::milliseconds pause{1};
  std::array<uint64_t, 12> costs{};
  const Fd event(::eventfd(0, EFD_CLOEXEC));
  if (!event) {
    return 0;
  }
  std::atomic<bool> is_over = false;
  std::thread woken([&] {
    uint64_t before = own_cpu_ns();
    for (uint64_t& cost : costs) {
      eventfd_t count = 0;
      (void)::eventfd_read(event.get(), &count);
      const uint64_t now = own_cpu_ns();
      cost = now - before;
      before = now;
    }
    is_over = true;
  });
  while (!is_over) {
    (void)::eventfd_write(event.get(), 1);
    std::this_thread::sleep_for(pause);
  }
  woken.join();
  const auto third_quarter = costs.begin() + costs.size() * 3 / 4;
  std::nth_element(costs.begin(), third_quarter, costs.end());
  return *third_quarter;
}

uint64_t same_attempt_ns(uint64_t wake_cost_ns) {
  constexpr uint64_t times = 10, least = 50'000, most = 500'000;
  return std::clamp(std::min(wake_cost_ns, most) * times, least, most);
}

}  // namespace ipcscope
