// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace ipcscope {

/// Who could release whom: a directed graph in which a node is live when it is so by itself or when
/// any of its releasers is live. What is not live can never move again, because everything that it
/// waits for waits within the same set (a greatest fixed point). Knows nothing of threads; a set of
/// threads is a node whose releasers are its members, so that a thousand waiters at a pipe with a
/// thousand readers are two thousand edges and not a million.
///
/// Add all nodes and edges, then solve() once: linear in their number, without recursion.
class ReleaseGraph {
 public:
  using Node = uint32_t;
  static constexpr Node none = UINT32_MAX;

  /// live: it moves by itself, or something outside moves it.
  Node add(bool live = false);
  void set_live(Node node) { depth_[node] = 0; }
  /// Live, but only by what does not go on before somebody acts: what moves is looked for first.
  void set_stalled(Node node) { stalled_.push_back(node); }
  /// releaser, or any of its releasers, can release waiter.
  void add_releaser(Node waiter, Node releaser) { edges_.emplace_back(waiter, releaser); }
  [[nodiscard]] size_t size() const { return depth_.size(); }

  void solve();

  [[nodiscard]] bool is_live(Node node) const { return depth_[node] != unreached; }
  /// Live by something that is not stalled.
  [[nodiscard]] bool is_moving(Node node) const { return moving_[node]; }
  /// Releasers on the way to the nearest node that is live by itself; 0 for such a one.
  [[nodiscard]] uint32_t depth(Node node) const { return depth_[node]; }
  /// The releaser that is next on that way; of a node that is not live, the one on the shortest way
  /// into a final knot or to a node that nobody releases, and in a final knot one that is in it.
  /// none when there is none.
  [[nodiscard]] Node next(Node node) const { return next_[node]; }
  [[nodiscard]] std::span<const Node> releasers(Node node) const {
    return {releasers_.data() + first_[node], first_[node + 1] - first_[node]};
  }
  /// The strongly connected sets of nodes that are not live and wait for each other, each in the
  /// order of a depth-first visit. A node that waits for itself only is one.
  [[nodiscard]] const std::vector<std::vector<Node>>& knots() const { return knots_; }
  /// The knot that a node belongs to, none when it only waits behind one or for nobody.
  [[nodiscard]] uint32_t knot(Node node) const { return knot_[node]; }
  /// Whether no node of a knot has a releaser outside it: what is not final waits behind others.
  [[nodiscard]] bool is_final(uint32_t knot) const { return final_[knot]; }

 private:
  static constexpr uint32_t unreached = UINT32_MAX;

  void sort_edges();
  void spread();
  void find_knots();
  void find_final_knots();
  void lead_to_ends();

  std::vector<std::pair<Node, Node>> edges_;  ///< empty after solve()
  std::vector<uint32_t> first_;               ///< by node, into releasers_; one more at the end
  std::vector<Node> releasers_;
  std::vector<uint32_t> depth_;
  std::vector<Node> next_;
  std::vector<Node> stalled_;
  std::vector<bool> moving_;
  std::vector<uint32_t> knot_;
  std::vector<bool> final_;  ///< by knot
  std::vector<std::vector<Node>> knots_;
};

}  // namespace ipcscope
