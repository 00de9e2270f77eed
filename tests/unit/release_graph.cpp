// SPDX-License-Identifier: GPL-2.0-or-later
#include "analysis/release_graph.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>

namespace ipcscope {
namespace {

using Node = ReleaseGraph::Node;

/// A small graph as bit masks: releasers[n] are those of node n.
struct Small {
  uint32_t count = 0;
  uint32_t live = 0;
  std::vector<uint32_t> releasers;
};

Small random_graph(std::mt19937& source) {
  const auto random = [&] { return static_cast<uint32_t>(source()); };
  Small graph;
  graph.count = 1 + random() % 10;
  const uint32_t all = (1U << graph.count) - 1;
  for (uint32_t node = 0; node < graph.count; node++) {
    const uint32_t thin = random() & random();
    graph.releasers.push_back(all & thin & (random() % 3 == 0 ? UINT32_MAX : random()));
  }
  graph.live = all & random() & random() & random();
  return graph;
}

/// The union of all sets of which no member is live by itself or has a releaser outside the set:
/// the definition, tried on every set there is.
uint32_t dead_by_trying(const Small& graph) {
  uint32_t dead = 0;
  for (uint32_t set = 0; set < 1U << graph.count; set++) {
    bool closed = (set & graph.live) == 0;
    for (uint32_t node = 0; node < graph.count && closed; node++) {
      closed = (set >> node & 1) == 0 || (graph.releasers[node] & ~set) == 0;
    }
    dead |= closed ? set : 0;
  }
  return dead;
}

/// The nodes that node reaches in one or more steps.
uint32_t reach(const Small& graph, uint32_t node) {
  uint32_t reached = graph.releasers[node];
  for (uint32_t round = 0; round < graph.count; round++) {
    for (uint32_t each = 0; each < graph.count; each++) {
      reached |= (reached >> each & 1) != 0 ? graph.releasers[each] : 0;
    }
  }
  return reached;
}

ReleaseGraph solved(const Small& graph) {
  ReleaseGraph result;
  for (uint32_t node = 0; node < graph.count; node++) {
    result.add((graph.live >> node & 1) != 0);
  }
  for (uint32_t node = 0; node < graph.count; node++) {
    for (uint32_t each = 0; each < graph.count; each++) {
      if ((graph.releasers[node] >> each & 1) != 0) {
        result.add_releaser(node, each);
      }
    }
  }
  result.solve();
  return result;
}

}  // namespace

TEST_CASE("100,000 random graphs agree with trying every set", "[release_graph]") {
  std::mt19937 random(20261121);
  uint32_t with_knots = 0, wrong = 0;
  for (int round = 0; round < 100'000; round++) {
    const Small graph = random_graph(random);
    const ReleaseGraph result = solved(graph);
    const uint32_t dead = dead_by_trying(graph);
    with_knots += result.knots().empty() ? 0 : 1;
    for (uint32_t node = 0; node < graph.count; node++) {
      const bool is_dead = (dead >> node & 1) != 0;
      wrong += result.is_live(node) == is_dead ? 1 : 0;
      // In a knot are exactly the dead nodes that can reach themselves.
      const bool in_cycle = is_dead && (reach(graph, node) >> node & 1) != 0;
      wrong += (result.knot(node) != ReleaseGraph::none) != in_cycle ? 1 : 0;
      const Node next = result.next(node);
      if (next != ReleaseGraph::none) {
        wrong += (graph.releasers[node] >> next & 1) == 0 ? 1 : 0;
        wrong += result.is_live(node) && result.depth(next) + 1 != result.depth(node) ? 1 : 0;
        // It stays within a knot that nothing leads out of, and a way through others has an end.
        const bool is_final = in_cycle && result.is_final(result.knot(node));
        wrong += is_final && result.knot(next) != result.knot(node) ? 1 : 0;
        Node end = node;
        for (uint32_t step = 0; step < graph.count && result.next(end) != ReleaseGraph::none;
             step++) {
          end = result.next(end);
        }
        wrong +=
            is_dead && result.next(end) != ReleaseGraph::none && !result.is_final(result.knot(end))
                ? 1
                : 0;
      } else {
        wrong += (graph.live >> node & 1) == 0 && graph.releasers[node] != 0 ? 1 : 0;
      }
      if (in_cycle) {
        const uint32_t others = reach(graph, node);
        bool leads_out = false;
        for (uint32_t other = 0; other < graph.count; other++) {
          leads_out =
              leads_out || ((others >> other & 1) != 0 && (reach(graph, other) >> node & 1) == 0);
        }
        wrong += result.is_final(result.knot(node)) == leads_out ? 1 : 0;
      }
      for (uint32_t other = 0; other < graph.count; other++) {
        const bool together = in_cycle && (reach(graph, node) >> other & 1) != 0 &&
                              (reach(graph, other) >> node & 1) != 0;
        wrong += together && result.knot(other) != result.knot(node) ? 1 : 0;
      }
    }
  }
  CHECK(wrong == 0);
  CHECK(with_knots > 10'000);  // else the graphs were too easy
}

TEST_CASE("a chain as long as a host has threads needs no stack", "[release_graph]") {
  ReleaseGraph graph;
  constexpr Node length = 1'000'000;
  for (Node node = 0; node < length; node++) {
    graph.add();
  }
  for (Node node = 0; node < length; node++) {
    graph.add_releaser(node, (node + 1) % length);
  }
  graph.solve();
  REQUIRE(graph.knots().size() == 1);
  CHECK(graph.knots().front().size() == length);
}

}  // namespace ipcscope
