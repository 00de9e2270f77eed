// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/lost_peer.h"

#include <catch2/catch.hpp>

#include "tests/unit/fake_tree.h"

namespace ipcscope {
namespace {

const std::string heading =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout "
    "inode\n";

std::string line(const std::string& addresses, const std::string& state, int inode) {
  return "   0: " + addresses + " " + state +
         " 00000000:00000000 00:00000000 00000000     0        0 " + std::to_string(inode) +
         " 1 0000000000000000 20 4 30 10 -1\n";
}

}  // namespace

TEST_CASE("both ends of a connection are on one host by their addresses", "[lost_peer]") {
  CHECK(is_within_host("tcp:127.0.0.1:80-127.0.0.1:4242"));
  CHECK(is_within_host("tcp:10.0.0.1:80-127.0.0.2:4242"));
  CHECK(is_within_host("tcp:10.0.0.1:80-10.0.0.1:4242"));
  CHECK(is_within_host("tcp:[::1]:80-[::1]:4242@4026531840"));
  CHECK_FALSE(is_within_host("tcp:10.0.0.1:80-10.0.0.10:4242"));
  CHECK_FALSE(is_within_host("tcp:127.0.0.1:80"));
  CHECK_FALSE(is_within_host("tcp:[::1]:80-[2001:db8::1]:4242"));
}

TEST_CASE("a peer is lost where the kernel has nothing with its ports", "[lost_peer]") {
  const FakeTree tree;
  const std::string own = line("0100007F:1F90 0100007F:A410", "01", 42);
  const std::string peer = line("0100007F:A410 0100007F:1F90", "01", 43);
  tree.file("5/net/tcp", heading + own);
  tree.file("6/net/tcp", heading + own + peer);
  // Not accepted, or nobody has it open any more: no inode, but there.
  tree.file("7/net/tcp", heading + own + line("0100007F:A410 0100007F:1F90", "04", 0));
  tree.file("8/net/tcp", heading + line("0100007F:1F90 0100007F:A410", "08", 42));
  // A socket over IPv6 that speaks IPv4.
  tree.file("9/net/tcp", heading + own);
  tree.file("9/net/tcp6", heading + line("0000000000000000FFFF00000100007F:A410 "
                                         "0000000000000000FFFF00000100007F:1F90",
                                         "01", 43));
  tree.file("10/net/tcp", heading + peer);
  const Result<ProcRoot> proc = ProcRoot::open(tree.path().c_str());
  REQUIRE(proc);
  CHECK(has_lost_peer(*proc, 5, 42));
  CHECK_FALSE(has_lost_peer(*proc, 6, 42));
  CHECK_FALSE(has_lost_peer(*proc, 7, 42));
  CHECK_FALSE(has_lost_peer(*proc, 8, 42));  // it closes already
  CHECK_FALSE(has_lost_peer(*proc, 9, 42));
  CHECK_FALSE(has_lost_peer(*proc, 10, 42));  // another network namespace
  CHECK_FALSE(has_lost_peer(*proc, 11, 42));
}

}  // namespace ipcscope
