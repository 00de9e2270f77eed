// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <thread>
#include <vector>

namespace ipcscope {

/// How many threads are worth their start for so many items.
inline size_t worker_count(size_t items) {
  constexpr size_t items_per_worker = 64, most = 4;
  const size_t cpus = std::max(1U, std::thread::hardware_concurrency());
  return std::clamp<size_t>(items / items_per_worker, 1, std::min(cpus, most));
}

/// Calls work(worker, item) for every item, worker counting from 0. One worker: in this thread.
template <typename Work>
void share_work(size_t items, size_t workers, Work&& work) {
  std::atomic<size_t> next{0};
  const auto run = [&](size_t worker) {
    for (size_t item = next++; item < items; item = next++) {
      work(worker, item);
    }
  };
  std::vector<std::thread> threads;
  for (size_t worker = 1; worker < workers; worker++) {
    threads.emplace_back(run, worker);
  }
  run(0);
  for (std::thread& thread : threads) {
    thread.join();
  }
}

}  // namespace ipcscope
