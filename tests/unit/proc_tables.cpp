// SPDX-License-Identifier: GPL-2.0-or-later
#include <linux/magic.h>
#include <catch2/catch.hpp>
#include <set>

#include "bpf/filelock.h"
#include "collectors/proc/identity.h"
#include "collectors/proc/locks.h"
#include "collectors/proc/maps.h"
#include "collectors/proc/mounts.h"

using namespace ipcscope;

TEST_CASE("maps: shared, private, deleted, with blanks", "[proc]") {
  const auto shared = parse_maps_line(
      "7fd6d7f17000-7fd6d7f1e000 rw-s 00002000 fe:01 332280       /dev/shm/a b (deleted)");
  REQUIRE(shared);
  CHECK(shared->start == 0x7fd6d7f17000);
  CHECK(shared->end == 0x7fd6d7f1e000);
  CHECK(shared->offset == 0x2000);
  CHECK(shared->device == (0xfeU << 20 | 1));
  CHECK(shared->inode == 332280);
  CHECK(shared->shared);
  CHECK(shared->writable);
  CHECK_FALSE(shared->executable);
  CHECK(shared->path == "/dev/shm/a b (deleted)");
  const auto anonymous = parse_maps_line("7fd6d7f17000-7fd6d7f1e000 r-xp 00000000 00:00 0");
  REQUIRE(anonymous);
  CHECK_FALSE(anonymous->shared);
  CHECK(anonymous->path.empty());
  CHECK_FALSE(parse_maps_line("7fd6d7f17000-7fd6d7f1e000 r-xp 0000"));
  CHECK_FALSE(parse_maps_line("2-1 r-xp 00000000 00:00 0"));
}

TEST_CASE("mountinfo: optional fields and what may be touched", "[proc]") {
  const auto mount = parse_mountinfo_line(
      "36 35 98:5 /mnt1 /mnt2 rw,noatime master:1 shared:2 - ext3 /dev/root rw,errors=continue");
  REQUIRE(mount);
  CHECK(mount->id == 36);
  CHECK(mount->device == (98U << 20 | 5));
  CHECK(mount->point == "/mnt2");
  CHECK(mount->type == "ext3");
  CHECK_FALSE(parse_mountinfo_line("36 35 98:5 /mnt1 /mnt2 rw,noatime master:1"));
  CHECK(filesystem_type("ext4").local);
  CHECK(filesystem_type("tmpfs").magic == TMPFS_MAGIC);
  for (const char* remote : {"nfs", "nfs4", "cifs", "smb3", "fuse", "fuse.sshfs", "fuseblk", "9p",
                             "ceph", "afs", "lustre", "autofs", "gfs2", "virtiofs", "unheard-of"}) {
    CHECK_FALSE(filesystem_type(remote).local);
  }
}

TEST_CASE("locks: every flavour, holders and waiters", "[proc]") {
  LockTable table;
  table.load(
      "1: POSIX  ADVISORY  WRITE 6306 fe:00:10953066 5 14\n"
      "1: -> POSIX  ADVISORY  READ  6310 fe:00:10953066 0 EOF\n"
      "1:  -> POSIX  ADVISORY  READ  6311 fe:00:10953066 0 EOF\n"
      "2: FLOCK  ADVISORY  WRITE 6306 fe:00:10953066 0 EOF\n"
      "3: OFDLCK ADVISORY  READ  -1 00:1b:7 0 EOF\n"
      "4: LEASE  BREAKING  UNLCK 12 00:1b:8 0 EOF\n"
      "5: DELEG  ACTIVE    READ 12 00:1b:8 0 EOF\n"
      "6: POSIX  *NOINODE* WRITE 12 <none>:0 0 EOF\n");
  REQUIRE(table.all().size() == 4);
  const LockTable::Held& posix = table.all()[0];
  CHECK(posix.line.flavour == LOCK_POSIX);
  CHECK(posix.line.type == 1);
  CHECK(posix.line.pid == 6306);
  CHECK(posix.line.device == 0xfeU << 20);
  CHECK(posix.line.inode == 10953066);
  CHECK(posix.line.start == 5);
  CHECK(posix.line.end == 14);
  CHECK(posix.waiters == 2);
  CHECK(table.all()[1].line.flavour == LOCK_FLOCK);
  CHECK(table.all()[1].line.end == UNKNOWN_U64);
  CHECK(table.all()[2].line.flavour == LOCK_OFD);
  CHECK(table.all()[2].line.pid == -1);
  CHECK(table.all()[3].line.flavour == LOCK_LEASE);
  CHECK(table.all()[3].line.type == 2);
  CHECK(table.names(0x1b, 7));
  CHECK_FALSE(table.names(0x1b, 9));
  const auto line = parse_lock_line("1: POSIX  ADVISORY  WRITE 6306 fe:00:10953066 5 14");
  REQUIRE(line);
  CHECK(table.find(*line) == 0);
}

TEST_CASE("made-up identities of different things differ", "[proc]") {
  std::set<uint64_t> seen;
  for (uint64_t what = 1; what <= 9; what++) {
    for (uint64_t first = 0; first < 40; first++) {
      for (uint64_t second = 0; second < 40; second++) {
        seen.insert(made_identity(static_cast<IdentityOf>(what), first, second));
      }
    }
  }
  CHECK(seen.size() == 9 * 40 * 40);
  CHECK(seen.count(0) == 0);
}
