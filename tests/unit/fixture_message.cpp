// SPDX-License-Identifier: GPL-2.0-or-later
// Every "intact" of a mechanism in use rests on this.
#include "fixtures/message.h"

#include <catch2/catch.hpp>
#include <set>

using namespace ipcscope::fixtures;

TEST_CASE("a message tells what it is", "[message]") {
  for (const size_t bytes : {size_t{16}, size_t{17}, size_t{1000}, size_t{65536}}) {
    const std::string message = make_message(3, 41, bytes);
    CHECK(message.size() == bytes);
    const auto seal = open_message(message);
    REQUIRE(seal);
    CHECK(seal->sender == 3);
    CHECK(seal->sequence == 41);
    CHECK(seal->bytes == bytes);
  }
  CHECK(make_message(0, 0, 0).size() == message_bytes_min);
}

TEST_CASE("messages differ by sender and number", "[message]") {
  std::set<std::string> all;
  for (uint32_t sender = 0; sender < 8; sender++) {
    for (uint32_t sequence = 0; sequence < 8; sequence++) {
      all.insert(make_message(sender, sequence, 64).substr(sizeof(Seal)));
    }
  }
  CHECK(all.size() == 64);
}

TEST_CASE("every changed bit of a message shows", "[message]") {
  const std::string message = make_message(1, 2, 100);
  for (size_t byte = 0; byte < message.size(); byte++) {
    for (unsigned bit = 0; bit < 8; bit++) {
      std::string changed = message;
      changed[byte] = static_cast<char>(static_cast<unsigned char>(changed[byte]) ^ 1U << bit);
      INFO(byte << " " << bit);
      CHECK_FALSE(open_message(changed));
    }
  }
}

TEST_CASE("a message that is not whole shows", "[message]") {
  const std::string message = make_message(1, 2, 100);
  for (size_t bytes = 0; bytes < message.size(); bytes++) {
    CHECK_FALSE(open_message(std::string_view(message).substr(0, bytes)));
  }
  CHECK_FALSE(open_message(message + "x"));
  // Half of one and half of another: torn.
  const std::string other = make_message(1, 3, 100);
  CHECK_FALSE(open_message(message.substr(0, 50) + other.substr(50)));
}

TEST_CASE("a checksum goes on where it ended", "[message]") {
  CHECK(checksum("ab") == checksum("b", checksum("a")));
  CHECK(checksum("") == 2166136261U);   // FNV's offset basis
  CHECK(checksum("a") == 0xe40c292cU);  // of the published test vectors
  CHECK(checksum("foobar") == 0xbf9cf968U);
}
