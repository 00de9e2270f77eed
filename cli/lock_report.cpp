// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/lock_report.h"

#include <algorithm>
#include <map>
#include <utility>

#include "analysis/lock_use.h"

namespace ipcscope {

namespace {

uint64_t order_value(const LockUse& lock, LockSort sort) {
  switch (sort) {
    case LockSort::total:
      return lock.total_ns;
    case LockSort::max:
      return lock.max_ns;
    case LockSort::waits:
      return lock.waits;
    case LockSort::p99:
      return percentile_of(lock, 0.99);
  }
  return 0;
}

/// A thread and a pair have no percentiles: their longest wait is next to it.
template <typename T>
uint64_t order_value(const T& use, LockSort sort) {
  switch (sort) {
    case LockSort::total:
      return use.wait_ns;
    case LockSort::max:
    case LockSort::p99:
      return use.max_ns;
    case LockSort::waits:
      return use.waits;
  }
  return 0;
}

bool is_wanted(const std::vector<std::string>& ids, const std::string& id) {
  return ids.empty() || std::find(ids.begin(), ids.end(), id) != ids.end();
}

/// Sums by thread; threads number some thousands at most, of which most are not in the report.
class ThreadSums {
 public:
  void add(const LockReport& report, uint32_t index, bool idle);
  std::vector<LockThreadUse> take(LockSort sort, bool also_idle);

 private:
  LockThreadUse& use(uint32_t thread) {
    LockThreadUse& made = uses_[thread];
    made.thread = thread;
    return made;
  }
  std::map<uint32_t, LockThreadUse> uses_;
  std::map<std::pair<uint32_t, uint32_t>, uint64_t> at_, behind_;
};

void ThreadSums::add(const LockReport& report, uint32_t index, bool idle) {
  for (const LockPair& pair : report.lock(index).pairs) {
    LockThreadUse& waiter = use(pair.waiter);
    if (idle) {
      waiter.idle_ns += pair.wait_ns;
      if (pair.holder != no_index) {
        use(pair.holder);
      }
      continue;
    }
    waiter.waits += pair.waits;
    waiter.unfinished += pair.unfinished;
    waiter.wait_ns += pair.wait_ns;
    waiter.max_ns = std::max(waiter.max_ns, pair.max_ns);
    waiter.overtakes_max = std::max(waiter.overtakes_max, pair.overtakes_max);
    waiter.attempt_max_ns = std::max(waiter.attempt_max_ns, pair.attempt_max_ns);
    at_[{pair.waiter, index}] += pair.wait_ns;
    if (pair.holder != no_index) {
      behind_[{pair.waiter, pair.holder}] += pair.wait_ns;
      use(pair.holder).held_up_ns += pair.wait_ns;
    }
  }
}

std::vector<LockThreadUse> ThreadSums::take(LockSort sort, bool also_idle) {
  for (const auto& [key, ns] : at_) {
    if (LockThreadUse& waiter = uses_[key.first]; ns > waiter.lock_ns || waiter.lock == no_index) {
      waiter.lock = key.second;
      waiter.lock_ns = ns;
    }
  }
  for (const auto& [key, ns] : behind_) {
    LockThreadUse& waiter = uses_[key.first];
    if (ns > waiter.behind_ns || waiter.behind == no_index) {
      waiter.behind = key.second;
      waiter.behind_ns = ns;
    }
  }
  std::vector<LockThreadUse> list;
  for (const auto& [thread, each] : uses_) {
    if (also_idle || each.waits != 0 || each.held_up_ns != 0) {
      list.push_back(each);
    }
  }
  std::stable_sort(list.begin(), list.end(), [&](const LockThreadUse& a, const LockThreadUse& b) {
    return order_value(a, sort) > order_value(b, sort);
  });
  return list;
}

}  // namespace

std::vector<LockThreadUse> LockReport::threads(bool also_idle) const {
  ThreadSums sums;
  for (const uint32_t index : in_the_way) {
    sums.add(*this, index, false);
  }
  for (const uint32_t index : idle) {
    sums.add(*this, index, true);
  }
  return sums.take(form.sort, also_idle);
}

std::vector<LockPairUse> LockReport::pairs() const {
  std::vector<LockPairUse> list;
  for (const uint32_t index : in_the_way) {
    for (const LockPair& pair : lock(index).pairs) {
      list.push_back({index, &pair});
    }
  }
  std::stable_sort(list.begin(), list.end(), [&](const LockPairUse& a, const LockPairUse& b) {
    return order_value(*a.pair, form.sort) > order_value(*b.pair, form.sort);
  });
  return list;
}

LockReport make_lock_report(LockWindow window, const LockForm& form,
                            const LockThresholds& thresholds) {
  LockReport report;
  report.window = std::move(window);
  report.form = form;
  report.findings = judge_locks(report.window, thresholds);
  if (!form.ids.empty()) {
    report.findings.erase(
        std::remove_if(report.findings.begin(), report.findings.end(),
                       [&](const Finding& each) {
                         return std::none_of(
                             each.channels.begin(), each.channels.end(),
                             [&](const std::string& id) { return is_wanted(form.ids, id); });
                       }),
        report.findings.end());
  }
  for (uint32_t i = 0; i < report.window.locks.size(); i++) {
    const LockUse& lock = report.window.locks[i];
    if (!is_wanted(form.ids, lock.id)) {
      continue;
    }
    if (!lock.holds.empty()) {
      report.taken.push_back(i);
    }
    if (lock.waits == 0) {
      report.not_waited.push_back(i);
    } else {
      (is_in_the_way(lock) ? report.in_the_way : report.idle).push_back(i);
    }
  }
  for (std::vector<uint32_t>* list : {&report.in_the_way, &report.idle}) {
    std::stable_sort(list->begin(), list->end(), [&](uint32_t a, uint32_t b) {
      return order_value(report.lock(a), form.sort) > order_value(report.lock(b), form.sort);
    });
  }
  std::stable_sort(report.taken.begin(), report.taken.end(), [&](uint32_t a, uint32_t b) {
    return all_holds(report.lock(a)).total_ns > all_holds(report.lock(b)).total_ns;
  });
  return report;
}

}  // namespace ipcscope
