// SPDX-License-Identifier: GPL-2.0-or-later
#include "analysis/lock_order.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <unordered_map>

#include "analysis/lock_case.h"
#include "analysis/lock_use.h"

namespace ipcscope {

namespace {

constexpr size_t most_cycles = 64;  // looked for
constexpr size_t most_told = 8;     // of orders that are given as evidence

class Graph {
 public:
  explicit Graph(const std::vector<std::pair<uint32_t, uint32_t>>& edges) : edges_(edges) {
    for (size_t i = 0; i < edges.size(); i++) {
      out_[edges[i].first].push_back(i);
    }
  }

  /// A shortest way from one node to another, as edges; empty when there is none.
  std::vector<size_t> way(uint32_t from, uint32_t to) const;

 private:
  const std::vector<std::pair<uint32_t, uint32_t>>& edges_;
  std::unordered_map<uint32_t, std::vector<size_t>> out_;
};

std::vector<size_t> Graph::way(uint32_t from, uint32_t to) const {
  std::unordered_map<uint32_t, size_t> came_by;
  std::vector<uint32_t> reached = {from};
  for (size_t next = 0; next < reached.size(); next++) {
    const auto leaving = out_.find(reached[next]);
    if (leaving == out_.end()) {
      continue;
    }
    for (const size_t edge : leaving->second) {
      const uint32_t node = edges_[edge].second;
      if (node == from || !came_by.try_emplace(node, edge).second) {
        continue;
      }
      if (node != to) {
        reached.push_back(node);
        continue;
      }
      std::vector<size_t> way;
      for (uint32_t at = to; at != from; at = edges_[way.back()].first) {
        way.push_back(came_by[at]);
      }
      std::reverse(way.begin(), way.end());
      return way;
    }
  }
  return {};
}

std::string order_text(const LockWindow& window, const LockOrder& order) {
  const std::string thread = order.thread < window.threads.size()
                                 ? thread_text(window.threads[order.thread])
                                 : std::string("unknown");
  return fmt::format("{}{}: held {}{}, wanted {}{}, {}", thread, order.several ? " and others" : "",
                     lock_text(window.locks[order.held]), order.held_shared ? " for reading" : "",
                     lock_text(window.locks[order.wanted]),
                     order.wanted_shared ? " for reading" : "", count_of(order.count, "time"));
}

Finding finding_of(const LockWindow& window, const std::vector<size_t>& cycle) {
  Finding finding;
  finding.rule = "lock-order";
  finding.severity = Severity::warning;
  std::string names;
  for (const size_t index : cycle) {
    const LockOrder& order = window.orders[index];
    const LockUse& lock = window.locks[order.held];
    names += names.empty() ? "" : ", then ";
    names += lock.name.empty() ? lock.id : lock.name;
    finding.channels.push_back(lock.id);
    if (order.thread < window.threads.size()) {
      const LockThread& thread = window.threads[order.thread];
      if (std::find(finding.tids.begin(), finding.tids.end(), thread.tid) == finding.tids.end()) {
        finding.tids.push_back(thread.tid);
      }
      if (thread.pid != 0 &&
          std::find(finding.pids.begin(), finding.pids.end(), thread.pid) == finding.pids.end()) {
        finding.pids.push_back(thread.pid);
      }
    }
  }
  finding.summary = fmt::format(
      "a potential deadlock: {} locks are taken in orders that contradict each other ({}, then the "
      "first again); none was seen to happen",
      cycle.size(), names);
  for (size_t i = 0; i < std::min(cycle.size(), most_told); i++) {
    finding.evidence.push_back(
        {fmt::format("order_{}", i + 1), order_text(window, window.orders[cycle[i]])});
  }
  finding.advice =
      "take these locks in one order everywhere, or take the later ones with a trylock and let go "
      "of all where that fails";
  return finding;
}

}  // namespace

std::vector<std::vector<size_t>> find_cycles(
    const std::vector<std::pair<uint32_t, uint32_t>>& edges, size_t most) {
  const Graph graph(edges);
  std::vector<std::vector<size_t>> cycles;
  std::set<std::vector<size_t>> known;
  for (size_t i = 0; i < edges.size() && cycles.size() < most; i++) {
    const auto& [from, to] = edges[i];
    if (from == to) {
      continue;
    }
    std::vector<size_t> cycle = graph.way(to, from);
    if (cycle.empty()) {
      continue;
    }
    cycle.insert(cycle.begin(), i);
    std::rotate(cycle.begin(), std::min_element(cycle.begin(), cycle.end()), cycle.end());
    if (known.insert(cycle).second) {
      cycles.push_back(std::move(cycle));
    }
  }
  std::stable_sort(cycles.begin(), cycles.end(),
                   [](const auto& a, const auto& b) { return a.size() < b.size(); });
  return cycles;
}

bool can_deadlock(const LockWindow& window, const std::vector<size_t>& cycle) {
  const LockOrder& first = window.orders[cycle.front()];
  const bool one_thread = std::all_of(cycle.begin(), cycle.end(), [&](size_t index) {
    const LockOrder& order = window.orders[index];
    return !order.several && order.thread == first.thread;
  });
  const bool guarded = std::any_of(first.guards.begin(), first.guards.end(), [&](uint32_t guard) {
    return std::all_of(cycle.begin(), cycle.end(), [&](size_t index) {
      const std::vector<uint32_t>& guards = window.orders[index].guards;
      return std::find(guards.begin(), guards.end(), guard) != guards.end();
    });
  });
  bool shared = false;
  for (size_t i = 0; i < cycle.size(); i++) {
    const LockOrder& wants = window.orders[cycle[i]];
    const LockOrder& has = window.orders[cycle[(i + 1) % cycle.size()]];
    shared = shared || (wants.wanted_shared && has.held_shared);
  }
  return !one_thread && !guarded && !shared;
}

void find_lock_orders(const LockWindow& window, std::vector<Finding>& found) {
  std::vector<std::pair<uint32_t, uint32_t>> edges;
  for (const LockOrder& order : window.orders) {
    edges.emplace_back(order.held, order.wanted);
  }
  std::set<std::set<uint32_t>> told;  // the same locks in another mode are told once
  for (const std::vector<size_t>& cycle : find_cycles(edges, most_cycles)) {
    std::set<uint32_t> locks;
    for (const size_t index : cycle) {
      locks.insert(window.orders[index].held);
    }
    if (can_deadlock(window, cycle) && told.insert(std::move(locks)).second) {
      found.push_back(finding_of(window, cycle));
    }
  }
}

}  // namespace ipcscope
