// SPDX-License-Identifier: GPL-2.0-or-later
#include "analysis/release_graph.h"

#include <algorithm>

namespace ipcscope {

ReleaseGraph::Node ReleaseGraph::add(bool live) {
  depth_.push_back(live ? 0 : unreached);
  return static_cast<Node>(depth_.size() - 1);
}

/// A counting sort: the edges of a node come together, in the order in which they were added.
void ReleaseGraph::sort_edges() {
  first_.assign(size() + 1, 0);
  for (const auto& [waiter, releaser] : edges_) {
    first_[waiter + 1]++;
  }
  for (size_t node = 0; node < size(); node++) {
    first_[node + 1] += first_[node];
  }
  releasers_.resize(edges_.size());
  std::vector<uint32_t> at(first_.begin(), first_.end() - 1);
  for (const auto& [waiter, releaser] : edges_) {
    releasers_[at[waiter]++] = releaser;
  }
}

/// Breadth first from all that is live by itself to those that it can release; then the same from
/// what is stalled.
void ReleaseGraph::spread() {
  std::vector<uint32_t> first(size() + 1, 0);
  for (const auto& [waiter, releaser] : edges_) {
    first[releaser + 1]++;
  }
  for (size_t node = 0; node < size(); node++) {
    first[node + 1] += first[node];
  }
  std::vector<Node> waiters(edges_.size());
  std::vector<uint32_t> at(first.begin(), first.end() - 1);
  for (const auto& [waiter, releaser] : edges_) {
    waiters[at[releaser]++] = waiter;
  }
  next_.assign(size(), none);
  std::vector<Node> queue;
  for (Node node = 0; node < size(); node++) {
    if (is_live(node)) {
      queue.push_back(node);
    }
  }
  const auto reach = [&] {
    for (size_t head = 0; head < queue.size(); head++) {
      const Node releaser = queue[head];
      for (uint32_t i = first[releaser]; i < first[releaser + 1]; i++) {
        if (const Node waiter = waiters[i]; !is_live(waiter)) {
          depth_[waiter] = depth_[releaser] + 1;
          next_[waiter] = releaser;
          queue.push_back(waiter);
        }
      }
    }
  };
  reach();
  moving_.assign(size(), false);
  for (const Node node : queue) {
    moving_[node] = true;
  }
  queue.clear();
  for (const Node node : stalled_) {
    if (!is_live(node)) {
      depth_[node] = 0;
      queue.push_back(node);
    }
  }
  reach();
}

/// Tarjan's algorithm on what is not live, with a stack of our own: chains can be as long as there
/// are threads.
void ReleaseGraph::find_knots() {
  struct Visit {
    Node node;
    uint32_t edge;
  };
  std::vector<uint32_t> order(size(), unreached), low(size(), 0);
  std::vector<Node> open;  // visited, and not yet in a component
  std::vector<Visit> path;
  uint32_t visited = 0;
  knot_.assign(size(), none);
  const auto enter = [&](Node node) {
    order[node] = low[node] = visited++;
    open.push_back(node);
    path.push_back({node, first_[node]});
  };
  const auto close = [&](Node root) {
    const auto begin = std::find(open.rbegin(), open.rend(), root).base() - 1;
    const std::span<const Node> its = releasers(root);
    if (open.end() - begin > 1 || std::find(its.begin(), its.end(), root) != its.end()) {
      for (auto member = begin; member != open.end(); ++member) {
        knot_[*member] = static_cast<uint32_t>(knots_.size());
      }
      knots_.emplace_back(begin, open.end());
    }
    for (auto member = begin; member != open.end(); ++member) {
      low[*member] = unreached;  // belongs to a component: no longer on the stack
    }
    open.erase(begin, open.end());
  };
  for (Node start = 0; start < size(); start++) {
    if (is_live(start) || order[start] != unreached) {
      continue;
    }
    enter(start);
    while (!path.empty()) {
      const Node node = path.back().node;
      if (path.back().edge == first_[node + 1]) {
        path.pop_back();
        if (low[node] == order[node]) {
          close(node);
        } else {
          low[path.back().node] = std::min(low[path.back().node], low[node]);
        }
        continue;
      }
      const Node releaser = releasers_[path.back().edge++];
      if (order[releaser] == unreached) {
        enter(releaser);
      } else if (low[releaser] != unreached) {
        low[node] = std::min(low[node], order[releaser]);
      }
    }
  }
}

void ReleaseGraph::find_final_knots() {
  final_.assign(knots_.size(), true);
  for (uint32_t knot = 0; knot < knots_.size(); knot++) {
    for (const Node node : knots_[knot]) {
      for (const Node releaser : releasers(node)) {
        final_[knot] = final_[knot] && knot_[releaser] == knot;
      }
    }
  }
}

/// Breadth first from where all that is not live ends, to those that wait behind it.
void ReleaseGraph::lead_to_ends() {
  std::vector<uint32_t> first(size() + 1, 0);
  const auto each_edge = [&](const auto& take) {
    for (Node node = 0; node < size(); node++) {
      if (!is_live(node)) {  // and so are its releasers
        for (const Node releaser : releasers(node)) {
          take(node, releaser);
        }
      }
    }
  };
  each_edge([&](Node /*waiter*/, Node releaser) { first[releaser + 1]++; });
  for (size_t node = 0; node < size(); node++) {
    first[node + 1] += first[node];
  }
  std::vector<Node> waiters(first.back());
  std::vector<uint32_t> at(first.begin(), first.end() - 1);
  each_edge([&](Node waiter, Node releaser) { waiters[at[releaser]++] = waiter; });
  std::vector<Node> queue;
  for (Node node = 0; node < size(); node++) {
    if (is_live(node)) {
      continue;
    }
    const std::span<const Node> its = releasers(node);
    if (its.empty()) {
      queue.push_back(node);
    } else if (knot_[node] != none && final_[knot_[node]]) {
      next_[node] = *std::find_if(its.begin(), its.end(),
                                  [&](Node each) { return knot_[each] == knot_[node]; });
      queue.push_back(node);
    }
  }
  for (size_t head = 0; head < queue.size(); head++) {
    const Node releaser = queue[head];
    for (uint32_t i = first[releaser]; i < first[releaser + 1]; i++) {
      if (const Node waiter = waiters[i]; next_[waiter] == none) {
        next_[waiter] = releaser;
        queue.push_back(waiter);
      }
    }
  }
}

void ReleaseGraph::solve() {
  sort_edges();
  spread();
  edges_ = {};
  find_knots();
  find_final_knots();
  lead_to_ends();
}

}  // namespace ipcscope
