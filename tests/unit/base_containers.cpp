// SPDX-License-Identifier: GPL-2.0-or-later
// Arena, IdentityMap, Maybe and Fd.
#include <fcntl.h>

#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "collectors/base/arena.h"
#include "collectors/base/count.h"
#include "collectors/base/fd.h"
#include "collectors/base/identity_map.h"

using namespace ipcscope;

TEST_CASE("an arena's strings stay where they are", "[base]") {
  Arena arena;
  std::vector<std::string_view> kept;
  kept.reserve(20000);
  for (int i = 0; i < 20000; i++) {
    kept.push_back(arena.keep("text " + std::to_string(i)));
  }
  const std::string large(1 << 20, 'x');
  const std::string_view of_large = arena.keep(large);
  const Arena moved = std::move(arena);
  CHECK(of_large == large);
  CHECK(of_large.data() != large.data());
  for (int i = 0; i < 20000; i++) {
    REQUIRE(kept[static_cast<size_t>(i)] == "text " + std::to_string(i));
  }
}

TEST_CASE("an arena keeps NUL bytes and nothing", "[base]") {
  Arena arena;
  CHECK(arena.keep(std::string_view("a\0b", 3)) == std::string_view("a\0b", 3));
  CHECK(arena.keep("").empty());
}

TEST_CASE("an identity map is a map", "[base]") {
  IdentityMap map;
  CHECK(map.find(1) == UINT32_MAX);
  std::map<uint64_t, uint32_t> reference;
  std::mt19937_64 random(1);
  for (uint32_t i = 0; i < 50000; i++) {
    // Kernel addresses: alike above, multiples of 64 below, and some twice.
    const uint64_t key = 0xffff888000000000 + (random() % 30000 + 1) * 64;
    bool inserted = false;
    uint32_t& value = map.slot(key, inserted);
    CHECK(inserted == (reference.count(key) == 0));
    if (inserted) {
      CHECK(value == UINT32_MAX);
    }
    value = i;
    reference[key] = i;
  }
  CHECK(map.size() == reference.size());
  for (const auto& [key, value] : reference) {
    REQUIRE(map.find(key) == value);
  }
  CHECK(map.find(0xffff888000000001) == UINT32_MAX);
  CHECK(map.find(0) == UINT32_MAX);
}

TEST_CASE("a number that may be unknown", "[base]") {
  Maybe<uint64_t> number;
  CHECK_FALSE(number);
  CHECK(number.value_or(7) == 7);
  number = 0;
  CHECK(number);
  CHECK(*number == 0);
  CHECK(number != Maybe<uint64_t>());
  number = std::nullopt;
  CHECK_FALSE(number);
  // What is unknown stays unknown in a wider number, and is not its largest value.
  const Maybe<uint64_t> wider = std::optional<uint32_t>();
  CHECK_FALSE(wider);
  const Maybe<uint64_t> largest = std::optional<uint32_t>(UINT32_MAX);
  CHECK(largest);
}

TEST_CASE("a descriptor is closed once", "[base]") {
  const auto is_open = [](int fd) { return ::fcntl(fd, F_GETFD) != -1; };
  Fd first(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  REQUIRE(first);
  const int number = first.get();
  {
    const Fd second(std::move(first));
    CHECK(second.get() == number);
    CHECK(is_open(number));
  }
  CHECK_FALSE(is_open(number));

  Fd kept(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int old = kept.get();
  kept = Fd();
  CHECK_FALSE(kept);
  CHECK_FALSE(is_open(old));
}
