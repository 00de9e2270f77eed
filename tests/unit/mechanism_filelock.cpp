// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/filelock.h"

#include "bpf/filelock.h"
#include "tests/unit/mechanism_support.h"

using namespace ipcscope;

namespace {

lock_record lock(uint32_t flavour, uint32_t pid, int fd, uint64_t file, uint64_t object) {
  auto made = make_file<lock_record>(RECORD_LOCK, pid, fd, file, object);
  made.file.device = 8 << 20 | 1;
  made.start = 0;
  made.end = UNKNOWN_U64;
  made.flavour = flavour;
  made.type = 1;
  made.owner = 10;
  return made;
}

}  // namespace

TEST_CASE("a lock that children inherited is listed once, with all its holders", "[filelock]") {
  MechanismTest test(filelock_mechanism);
  test.process(10);
  test.process(11);
  test.tree.link("10/fd/3", "/data/a");
  lock_record shared = lock(LOCK_FLOCK, 10, 3, 0xf1, 0xa);
  shared.type = 0;
  test.take(shared);
  shared.file.head.pid = 11;
  test.take(shared);
  // Somebody else's shared lock on the same file.
  lock_record other = lock(LOCK_FLOCK, 11, 5, 0xf2, 0xa);
  other.type = 0;
  other.owner = 11;
  test.take(other);
  test.finish();
  CHECK(test.snapshot().channels.size() == 1);
  CHECK(test.channel("flock:/data/a").name == "/data/a");
  CHECK(test.endpoints("flock:/data/a") == "10:owner:3 11:owner:3 11:owner:5");
  CHECK(test.attribute("flock:/data/a", "locks") ==
        R"([{"type":"read","start":0,"end":"EOF","pid":10},)"
        R"({"type":"read","start":0,"end":"EOF","pid":11}])");
  CHECK(test.attribute("flock:/data/a", "inode") == "77");
  CHECK(test.attribute("flock:/data/a", "device") == "8:1");
}

TEST_CASE("classic locks belong to their process, whatever its descriptors", "[filelock]") {
  MechanismTest test(filelock_mechanism);
  test.process(10);
  test.tree.link("10/fd/3", "/data/a");
  for (const int fd : {3, 4}) {
    lock_record ranged = lock(LOCK_POSIX, 10, fd, 0xf0 + static_cast<uint64_t>(fd), 0xa);
    ranged.start = 5;
    ranged.end = 14;
    test.take(ranged);
    ranged.start = uint64_t{1} << 60;
    ranged.end = UNKNOWN_U64;
    test.take(ranged);
  }
  test.finish();
  CHECK(test.endpoints("fcntl:/data/a") == "10:owner:3");
  CHECK(test.attribute("fcntl:/data/a", "locks") ==
        R"([{"type":"write","start":5,"end":14,"pid":10},)"
        R"({"type":"write","start":"1152921504606846976","end":"EOF","pid":10}])");
}

TEST_CASE("locks of open files, leases and of processes that cannot be seen", "[filelock]") {
  MechanismTest test(filelock_mechanism);
  test.process(10);
  test.tree.link("10/fd/3", "/data/a");
  test.tree.link("10/fd/4", "/data/gone (deleted)");
  lock_record open_file = lock(LOCK_OFD, 10, 3, 0xf1, 0xa);
  open_file.owner = -1;
  test.take(open_file);
  lock_record lease = lock(LOCK_LEASE, 10, 3, 0xf1, 0xa);
  lease.type = 2;
  test.take(lease);
  test.take(lock(LOCK_FLOCK, 10, 4, 0xf2, 0xb));
  lock_record hidden = lock(LOCK_POSIX, 10, -1, 0, 0xc);
  hidden.file.mode = hidden.file.uid = UNKNOWN_U32;
  test.take(hidden);
  test.finish();
  CHECK(test.attribute("ofd:/data/a", "locks") ==
        R"([{"type":"write","start":0,"end":"EOF","pid":null}])");
  CHECK(test.attribute("lease:/data/a", "locks") ==
        R"([{"type":"breaking","start":0,"end":"EOF","pid":10}])");
  CHECK(test.channel("flock:/data/gone#77").name == "/data/gone");
  CHECK(test.endpoints("fcntl:#8:1:77") == "10:owner:-1");
  CHECK_FALSE(test.channel("fcntl:#8:1:77").permissions);
}
