// SPDX-License-Identifier: GPL-2.0-or-later
#include "analysis/lock_order.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "tests/unit/paper_window.h"

using namespace ipcscope;

namespace {

using Edges = std::vector<std::pair<uint32_t, uint32_t>>;
using Cycles = std::vector<std::vector<size_t>>;

/// Locks 0 to 9 and threads 0 to 9.
struct Orders : PaperWindow {
  Orders() {
    for (int i = 0; i < 10; i++) {
      LockUse& made = mutex();
      made.id = "futex:10:0x" + std::to_string(i);
      made.name = "lock_" + std::to_string(i);
      thread(10, 10 + i, "thread");
    }
  }
  LockOrder& add(uint32_t held, uint32_t wanted, uint32_t by) {
    LockOrder& order = window.orders.emplace_back();
    order.held = held;
    order.wanted = wanted;
    order.count = 1;
    order.thread = by;
    return order;
  }
  std::vector<Finding> judge() {
    std::vector<Finding> found;
    find_lock_orders(window, found);
    return found;
  }
};

}  // namespace

TEST_CASE("cycles of orders", "[lock-order]") {
  CHECK(find_cycles({}, 9).empty());
  CHECK(find_cycles({{1, 2}, {2, 3}, {1, 3}}, 9).empty());
  CHECK(find_cycles({{1, 1}}, 9).empty());
  CHECK(find_cycles({{1, 2}, {2, 1}}, 9) == Cycles{{0, 1}});
  CHECK(find_cycles({{5, 1}, {3, 1}, {1, 2}, {2, 3}, {2, 7}}, 9) == Cycles{{1, 2, 3}});
  SECTION("each once, the shortest first") {
    const Cycles cycles = find_cycles({{1, 2}, {2, 3}, {3, 1}, {4, 5}, {5, 4}}, 9);
    CHECK(cycles == Cycles{{3, 4}, {0, 1, 2}});
  }
  SECTION("two that share a way") {
    const Cycles cycles = find_cycles({{1, 2}, {2, 1}, {2, 3}, {3, 1}}, 9);
    CHECK(cycles == Cycles{{0, 1}, {0, 2, 3}});
  }
  SECTION("a long one, and no more than are asked for") {
    Edges ring;
    for (uint32_t i = 0; i < 1000; i++) {
      ring.emplace_back(i, (i + 1) % 1000);
    }
    const Cycles cycles = find_cycles(ring, 9);
    REQUIRE(cycles.size() == 1);
    CHECK(cycles[0].size() == 1000);
    Edges pairs;
    for (uint32_t i = 0; i < 100; i += 2) {
      pairs.emplace_back(i, i + 1);
      pairs.emplace_back(i + 1, i);
    }
    CHECK(find_cycles(pairs, 9).size() == 9);
  }
}

TEST_CASE("contradicting orders are a potential deadlock", "[lock-order]") {
  Orders orders;
  orders.add(0, 1, 0);
  SECTION("one order") {
    orders.add(1, 2, 1);
    orders.add(0, 2, 2);
    CHECK(orders.judge().empty());
  }
  SECTION("by two threads") {
    orders.add(1, 0, 1);
    const std::vector<Finding> found = orders.judge();
    REQUIRE(found.size() == 1);
    CHECK(std::string(found[0].rule) == "lock-order");
    CHECK(found[0].severity == Severity::warning);
    CHECK(found[0].tids == std::vector<int32_t>{10, 11});
    CHECK(found[0].channels == std::vector<std::string>{"futex:10:0x0", "futex:10:0x1"});
    CHECK(found[0].summary.find("potential deadlock") != std::string::npos);
    REQUIRE(found[0].evidence.size() == 2);
    CHECK(found[0].evidence[1].text.find("held mutex lock_1") != std::string::npos);
  }
  SECTION("over three locks") {
    orders.add(1, 2, 1);
    orders.add(2, 0, 2);
    REQUIRE(orders.judge().size() == 1);
    CHECK(orders.judge()[0].channels.size() == 3);
  }
  SECTION("by one thread alone") {
    orders.add(1, 0, 0);
    CHECK(orders.judge().empty());
    orders.window.orders[1].several = true;
    CHECK(orders.judge().size() == 1);
  }
  SECTION("behind a further lock") {
    orders.window.orders[0].guards = {7, 8};
    orders.add(1, 0, 1).guards = {8};
    CHECK(orders.judge().empty());
    orders.window.orders[1].guards = {9};
    CHECK(orders.judge().size() == 1);
  }
  SECTION("of readers") {
    orders.window.orders[0].wanted_shared = true;  // lock 1
    LockOrder& back = orders.add(1, 0, 1);
    back.held_shared = true;
    CHECK(orders.judge().empty());
    back.held_shared = false;
    CHECK(orders.judge().size() == 1);
  }
}
