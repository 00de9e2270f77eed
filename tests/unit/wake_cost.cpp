// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/locks/wake_cost.h"

#include <catch2/catch.hpp>

using namespace ipcscope;

TEST_CASE("wake cost: an attempt goes on for ten times as long, within bounds", "[locks]") {
  CHECK(same_attempt_ns(0) == 50'000);  // not measured
  CHECK(same_attempt_ns(4'000) == 50'000);
  CHECK(same_attempt_ns(30'000) == 300'000);
  CHECK(same_attempt_ns(60'000) == 500'000);
  CHECK(same_attempt_ns(UINT64_MAX) == 500'000);
}

TEST_CASE("wake cost: to wake and to sleep costs some CPU time", "[locks]") {
  const uint64_t cost = measure_wake_cost_ns();
  CHECK(cost > 100);
  CHECK(cost < 1'000'000'000);
}
