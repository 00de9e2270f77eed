// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/shmem.h"

#include <linux/magic.h>
#include <unistd.h>

#include "collectors/name_spaces.h"
#include "collectors/posix_semaphore.h"
#include "collectors/shm_directory.h"
#include "collectors/shmem_type.h"
#include "tests/unit/mechanism_support.h"

using namespace ipcscope;

namespace {

constexpr uint32_t ext4 = 0xef53;

shmem_record opened(uint32_t pid, int fd, uint64_t object, const shmem_facts& facts,
                    uint64_t inode = 77) {
  auto made =
      make_file<shmem_record>(RECORD_SHMEM, pid, fd, 0xf000 + static_cast<uint64_t>(fd), object);
  made.facts = facts;
  made.file.inode = inode;
  return made;
}

}  // namespace

TEST_CASE("a memfd has its openers and mappers", "[shmem]") {
  MechanismTest test(shmem_mechanism);
  test.process(10);
  test.process(11);
  shmem_facts facts = make_facts("memfd:a/b", TMPFS_MAGIC);
  facts.seals = F_SEAL_SEAL | F_SEAL_WRITE;
  test.take(opened(10, 5, 0xa, facts));
  test.take(make_mapping(11, 0xa, facts, MAPPING_READ));
  test.take(make_mapping(11, 0xa, facts, MAPPING_WRITE));
  test.finish();
  CHECK(test.endpoints("memfd:a/b#77") == "10:opener:5 11:attached:-1");
  CHECK(test.channel("memfd:a/b#77").name == "a/b");
  CHECK(test.attribute("memfd:a/b#77", "seals") == R"(["seal","write"])");
  CHECK(test.attribute("memfd:a/b#77", "bytes") == "8192");
  CHECK(test.attribute("memfd:a/b#77", "resident_bytes") ==
        std::to_string(test.assembly.page_size));
}

TEST_CASE("a file is a channel when two address spaces share it and one may write", "[shmem]") {
  MechanismTest test(shmem_mechanism);
  for (const uint32_t pid : {10U, 11U, 12U}) {
    test.process(pid);
  }
  test.tree.link("10/map_files/7f0000000000-7f0000002000", "/data/shared");
  const shmem_facts facts = make_facts("shared", ext4, 1);
  test.take(make_mapping(11, 0xa, facts, MAPPING_READ));
  test.take(make_mapping(10, 0xa, facts, MAPPING_READ | MAPPING_WRITE));
  // Read only, or by one process alone: none.
  test.take(make_mapping(10, 0xb, facts, MAPPING_READ));
  test.take(make_mapping(11, 0xb, facts, MAPPING_READ));
  test.take(make_mapping(10, 0xc, facts));
  test.take(make_mapping(10, 0xc, facts));
  // A device is none either.
  mapping_record device = make_mapping(10, 0xd, facts);
  device.mode = S_IFCHR | 0600;
  test.take(device);
  device.head.pid = 11;
  test.take(device);
  test.finish();
  REQUIRE(test.snapshot().channels.size() == 1);
  CHECK(test.endpoints("mmap:/data/shared") == "10:attached:-1 11:attached:-1");
  CHECK(test.attribute("mmap:/data/shared", "writable") == "true");
  CHECK(test.attribute("mmap:/data/shared", "unlinked") == "false");
  CHECK(test.attribute("mmap:/data/shared", "huge") == "false");
}

TEST_CASE("an unlinked or foreign shared file has its inode in the id", "[shmem]") {
  MechanismTest test(shmem_mechanism);
  test.process(10);
  test.process(11);
  test.process(20, 0, 4026539999);
  test.process(21, 0, 4026539999);
  test.tree.file("10/maps",
                 "7f0000000000-7f0000002000 rw-s 00000000 08:01 77      /data/x y (deleted)\n");
  test.tree.link("20/map_files/7f0000000000-7f0000002000", "/data/z");
  for (const uint32_t pid : {10U, 11U}) {
    test.take(make_mapping(pid, 0xa, make_facts("x y", ext4, 0)));
  }
  for (const uint32_t pid : {20U, 21U}) {
    test.take(make_mapping(pid, 0xb, make_facts("z", ext4, 1)));
  }
  test.finish();
  CHECK(test.attribute("mmap:/data/x y#77", "unlinked") == "true");
  CHECK(test.channel("mmap:/data/z#77").name_space == 4026539999);
}

TEST_CASE("anonymous shared memory and huge pages", "[shmem]") {
  MechanismTest test(shmem_mechanism);
  test.process(10);
  test.process(11);
  for (const uint32_t pid : {10U, 11U}) {
    test.take(make_mapping(pid, 0xa, make_facts("dev/zero", TMPFS_MAGIC)));
    mapping_record huge = make_mapping(pid, 0xb, make_facts("anon_hugepage", HUGETLBFS_MAGIC));
    huge.inode = 78;
    test.take(huge);
    test.take(make_mapping(pid, 0xc, make_facts("SYSV00000000", TMPFS_MAGIC)));
  }
  test.finish();
  CHECK(test.snapshot().channels.size() == 2);
  CHECK(test.channel("mmap:anon#77").name.empty());
  CHECK(test.attribute("mmap:anon#77", "huge") == "false");
  CHECK(test.attribute("mmap:anon#78", "huge") == "true");
}

TEST_CASE("POSIX objects are found in /dev/shm", "[shmem][host]") {
  // The fake /proc is on a tmpfs itself, so that its self/root/dev/shm is one.
  if (::access("/dev/shm", W_OK) != 0) {
    WARN("no /dev/shm here");
    return;
  }
  MechanismTest test(shmem_mechanism, "/dev/shm");
  const std::string shm = "self/root/dev/shm/";
  test.tree.file(shm + "used", "abc");
  test.tree.file(shm + "unused", "abcde");
  test.tree.file(shm + "sub/deep", "x");
  test.tree.file(shm + "sem.s", std::string("\5\0\0\0\2\0\0\0", 8) + std::string(24, '\0'));
  const auto status_of = [&](const std::string& name) {
    struct stat status {};
    REQUIRE(::stat((test.tree.path() + "/" + shm + name).c_str(), &status) == 0);
    return status;
  };
  const uint32_t device = record_device(status_of("used").st_dev);
  test.process(10);
  test.process(20, 0, 4026539999);
  test.tree.link("10/fd/3", "/dev/shm/used");
  test.tree.link("10/fd/4", "/dev/shm/used (deleted)");
  test.tree.link("10/fd/5", "/dev/shm/sub/deep");
  test.tree.link("10/fd/6", "/tmp/on-tmpfs");
  test.tree.link("20/fd/3", "/dev/shm/used");
  test.tree.link("20/fd/4", "/dev/shm/used");
  // glibc's sem_open() makes it under another name.
  test.tree.link("10/map_files/7f0000000000-7f0000002000", "/dev/shm/sem.aBcDeF (deleted)");
  const auto add = [&](shmem_record record, uint32_t on) {
    record.file.device = on;
    test.take(record);
  };
  add(opened(10, 3, 0xa, make_facts("used", TMPFS_MAGIC, 1), status_of("used").st_ino), device);
  add(opened(10, 4, 0xb, make_facts("used", TMPFS_MAGIC, 0), 501), device);
  add(opened(10, 5, 0xc, make_facts("deep", TMPFS_MAGIC, 1), 502), device);
  add(opened(10, 6, 0xd, make_facts("on-tmpfs", TMPFS_MAGIC, 1), 503), device);
  add(opened(20, 3, 0xe, make_facts("used", TMPFS_MAGIC, 1), 501), device + 1);
  add(opened(20, 4, 0xf, make_facts("used", TMPFS_MAGIC, 1), 501), device + 2);
  mapping_record semaphore = make_mapping(10, 0x10, make_facts("sem.aBcDeF", TMPFS_MAGIC, 1));
  semaphore.device = device;
  semaphore.inode = status_of("sem.s").st_ino;
  semaphore.facts.bytes = 32;
  test.take(semaphore);
  test.finish();

  CHECK(test.endpoints("posixshm:/used") == "10:opener:3");
  CHECK(test.channel("posixshm:/used").name == "/used");
  CHECK(test.attribute("posixshm:/used", "unlinked") == "false");
  CHECK(test.attribute("posixshm:/used", "device") == device_text(device));
  CHECK(test.endpoints("posixshm:/used#501") == "10:opener:4");
  CHECK(test.attribute("posixshm:/used#501", "unlinked") == "true");
  CHECK(test.channel("posixshm:/used#501@4026539999").name_space == 4026539999);
  CHECK(test.has("posixshm:/used#501@4026539999.2"));
  CHECK(test.endpoints("posixshm:/unused").empty());
  CHECK(test.attribute("posixshm:/unused", "bytes") == "5");
  CHECK(test.endpoints("posixsem:/s") == "10:attached:-1");
  CHECK(test.attribute("posixsem:/s", "value") == "5");
  CHECK(test.attribute("posixsem:/s", "waiters") == "2");
  CHECK(test.attribute("posixsem:/s", "unlinked") == "false");
  CHECK(test.snapshot().channels.size() == 6);
}

TEST_CASE("types of shared memory", "[shmem]") {
  const auto type = [](const char* name, uint32_t magic, uint32_t links = 0,
                       uint32_t mode = S_IFREG) {
    return shmem_type(make_facts(name, magic, links), mode);
  };
  CHECK(type("memfd:", TMPFS_MAGIC) == ShmemType::memfd);
  CHECK(type("memfd:x", TMPFS_MAGIC, 1) == ShmemType::tmpfs);
  CHECK(type("memfd:x", UNKNOWN_U32, UNKNOWN_U32) == ShmemType::memfd);
  CHECK(type("memfd:x", ext4) == ShmemType::file);
  CHECK(type("SYSV0000000g", TMPFS_MAGIC) == ShmemType::tmpfs);
  CHECK(type("SYSV0000000f", HUGETLBFS_MAGIC) == ShmemType::sysv);
  CHECK(type("zero", TMPFS_MAGIC, 1, S_IFCHR) == ShmemType::none);
  CHECK(type("[io_uring]", ANON_INODE_FS_MAGIC) == ShmemType::none);
}

TEST_CASE("the uppermost mount of a path is found", "[shmem]") {
  const char* text =
      "22 1 0:5 / /dev rw,nosuid shared:2 - devtmpfs udev rw\n"
      "23 22 0:27 / /dev/shm rw - tmpfs tmpfs rw\n"
      "damaged\n"
      "24 23 0:41 / /dev/shm rw shared:7 master:1 - tmpfs other rw\n"
      "25 1 254:0 / / rw - ext4 /dev/vda rw\n";
  const auto shm = find_mount(text, "/dev/shm");
  REQUIRE(shm);
  CHECK(shm->device == 41);
  CHECK(shm->type == "tmpfs");
  CHECK(find_mount(text, "/")->device == (254U << 20));
  CHECK_FALSE(find_mount(text, "/proc"));
}

TEST_CASE("a semaphore's memory is read as glibc and musl write it", "[shmem]") {
  const auto words = [](std::vector<uint32_t> each) {
    return std::string(reinterpret_cast<const char*>(each.data()), each.size() * 4);
  };
  const auto wide = decode_semaphore(words({3, 2, 0, 0}), 32);
  REQUIRE(wide);
  CHECK(wide->value == 3);
  CHECK(wide->waiters == 2);
  CHECK(decode_semaphore(words({0x80000000, 1, 0, 0}), 32)->value == 0);
  const auto narrow = decode_semaphore(words({7, 0, 0, 4}), 16);
  REQUIRE(narrow);
  CHECK(narrow->value == 3);
  CHECK(narrow->waiters == 4);
  CHECK_FALSE(decode_semaphore("abc", 32));
  CHECK_FALSE(decode_semaphore(words({1, 2, 3, 4}), 4096));
}
