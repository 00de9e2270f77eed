// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/sysv.h"

#include <linux/magic.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <unistd.h>

#include "collectors/sysv_tables.h"
#include "tests/unit/mechanism_support.h"

using namespace ipcscope;

namespace {

constexpr const char* shm_text =
    "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid"
    "      atime      dtime      ctime                   rss                  swap\n"
    "  19088743          7  1600                  8192   100   101      2  1000  1001  1002  1003"
    " 1700000001          0 1700000000                  4096                     0\n"
    "        -1          8  2644                   100     0     0      0     0     0     0     0"
    "          0          0 1700000000                     0                     0\n"
    "  damaged line\n";
constexpr const char* sem_text =
    "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n"
    "         0          3   600          2  1000  1000  1000  1000          0 1700000000\n";
constexpr const char* msg_text =
    "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      "
    "stime      rtime      ctime\n"
    "         0          5   620          12          3   100     0  1000  1000  1000  1000 "
    "1700000001          0 1700000000\n";

void add_tables(const FakeTree& tree) {
  tree.file("sysvipc/shm", shm_text);
  tree.file("sysvipc/sem", sem_text);
  tree.file("sysvipc/msg", msg_text);
}

mapping_record segment(uint32_t pid, uint64_t object, uint64_t id, const char* name,
                       uint32_t flags = MAPPING_READ | MAPPING_WRITE,
                       uint32_t magic = TMPFS_MAGIC) {
  mapping_record made = make_mapping(pid, object, make_facts(name, magic), flags);
  made.inode = id;
  return made;
}

}  // namespace

TEST_CASE("the tables of System V objects are read", "[sysv]") {
  const auto segments = parse_shm(shm_text);
  REQUIRE(segments.size() == 2);
  CHECK(segments[0].key == 0x1234567);
  CHECK(segments[0].mode == 01600);
  CHECK(segments[0].cgid == 1003);
  CHECK(segments[0].change_time == 1700000000);
  CHECK(segments[1].key == 0xffffffff);
  CHECK(parse_sem(sem_text).at(0).semaphores == 2);
  CHECK(parse_msg(msg_text).at(0).messages == 3);
  CHECK(parse_shm("").empty());
}

TEST_CASE("System V objects become channels", "[sysv]") {
  MechanismTest test(sysv_mechanism);
  add_tables(test.tree);
  test.process(100);
  test.process(101);
  // Twice attached is one endpoint with the union of the access.
  test.take(segment(101, 0xa, 7, "SYSV01234567", MAPPING_READ));
  test.take(segment(100, 0xa, 7, "SYSV01234567", MAPPING_READ));
  test.take(segment(100, 0xa, 7, "SYSV01234567", MAPPING_WRITE));
  // Neither a linked file of that name nor another mapping is a segment.
  mapping_record other = segment(100, 0xb, 7, "SYSV01234567");
  other.facts.links = 1;
  test.take(other);
  test.take(segment(100, 0xc, 7, "dev/zero"));
  test.finish();

  CHECK(test.snapshot().channels.size() == 4);
  const Channel& shm = test.channel("shm:7");
  CHECK(shm.permissions == 0600);
  CHECK(shm.uid == 1000U);
  CHECK(shm.capacity_bytes == 8192U);
  CHECK(shm.name_space == 0);
  CHECK(test.endpoints("shm:7") == "100:attached:-1 101:attached:-1");
  CHECK(test.snapshot().endpoints_of(shm)[0].access == (access_read | access_write));
  CHECK(test.snapshot().endpoints_of(shm)[1].access == access_read);
  CHECK(test.attribute("shm:7", "key") == "0x01234567");
  CHECK(test.attribute("shm:7", "destroyed") == "true");
  CHECK(test.attribute("shm:7", "locked") == "false");
  CHECK(test.attribute("shm:7", "huge") == "false");
  CHECK(test.attribute("shm:7", "attaches") == "2");
  CHECK(test.attribute("shm:7", "detach_time") == "0");

  CHECK(test.attribute("shm:8", "key") == "0xffffffff");
  CHECK(test.attribute("shm:8", "locked") == "true");
  CHECK(test.attribute("shm:8", "huge") == "null");
  CHECK(test.attribute("shm:8", "creator_pid") == "null");  // a process always made it
  CHECK(test.attribute("shm:8", "last_pid") == "0");        // nobody ever attached it

  // A fake tree has no kernel behind it that could be asked for values.
  CHECK(test.attribute("sem:3", "semaphores") ==
        R"([{"index":0,"value":null,"pid":null,"increase_waiters":null,"zero_waiters":null},)"
        R"({"index":1,"value":null,"pid":null,"increase_waiters":null,"zero_waiters":null}])");
  const Channel& msg = test.channel("msg:5");
  CHECK(msg.depth_bytes == 12U);
  CHECK(msg.depth_messages == 3U);
  CHECK_FALSE(msg.capacity_bytes);
  CHECK(test.attribute("msg:5", "last_send_pid") == "100");
  CHECK(test.attribute("msg:5", "last_receive_pid") == "0");
  CHECK(test.coverage("sysvipc").state == Coverage::State::full);
}

TEST_CASE("System V objects of namespaces that cannot be entered are told", "[sysv]") {
  MechanismTest test(sysv_mechanism);
  add_tables(test.tree);
  test.process(100);
  test.process(200, 4026539999);
  test.process(201, 4026539998);
  // Same id, other namespace.
  test.take(segment(100, 0xa, 7, "SYSV01234567"));
  test.take(segment(200, 0xb, 7, "SYSV00000099", MAPPING_READ, HUGETLBFS_MAGIC));
  // Attached before it changed its namespace: the object tells.
  test.take(segment(201, 0xa, 7, "SYSV01234567"));
  test.finish();
  CHECK(test.endpoints("shm:7") == "100:attached:-1 201:attached:-1");
  CHECK(test.channel("shm:7@4026539999").name_space == 4026539999);
  CHECK(test.endpoints("shm:7@4026539999") == "200:attached:-1");
  CHECK(test.attribute("shm:7@4026539999", "huge") == "true");
  CHECK(test.attribute("shm:7@4026539999", "attaches") == "null");
  const Coverage& coverage = test.coverage("sysvipc");
  CHECK(coverage.state == Coverage::State::partial);
  CHECK(coverage.unreadable == 2);
  CHECK(coverage.reason.find("2 other IPC namespaces") == 0);
  CHECK_FALSE(coverage.hint.empty());
}

TEST_CASE("two objects of one segment are one while there are attachments to spare", "[sysv]") {
  MechanismTest test(sysv_mechanism);
  add_tables(test.tree);
  test.process(100);
  test.process(201, 4026539998);
  test.process(202, 4026539997);
  test.take(segment(100, 0xa, 7, "SYSV01234567"));
  test.take(segment(201, 0xb, 7, "SYSV01234567"));  // the /proc source does not see that it moved
  test.take(segment(202, 0xc, 7, "SYSV01234567"));  // a third one cannot be it
  test.finish();
  CHECK(test.endpoints("shm:7") == "100:attached:-1 201:attached:-1");
  CHECK(test.endpoints("shm:7@4026539997") == "202:attached:-1");
}

TEST_CASE("a kernel without System V IPC is told", "[sysv]") {
  MechanismTest test(sysv_mechanism);
  test.finish();
  CHECK(test.snapshot().channels.empty());
  CHECK(test.coverage("sysvipc").state == Coverage::State::unavailable);
}

TEST_CASE("semaphores and queue limits are asked of the kernel", "[sysv][host]") {
  const Result<ProcRoot> proc = ProcRoot::open();
  REQUIRE(proc);
  const int set = ::semget(IPC_PRIVATE, 2, 0600);
  const int queue = ::msgget(IPC_PRIVATE, 0600);
  if (set < 0 || queue < 0) {
    WARN("no System V IPC here");
    return;
  }
  ::semctl(set, 1, SETVAL, 9);
  const SysvTables tables = read_sysv_tables(*proc, true);
  ::semctl(set, 0, IPC_RMID);
  ::msgctl(queue, IPC_RMID, nullptr);
  REQUIRE(tables.semaphores.count(set) == 1);
  const auto& states = tables.semaphores.at(set);
  REQUIRE(states.size() == 2);
  CHECK(states[1].value == 9);
  CHECK(states[1].pid == ::getpid());
  CHECK(states[1].increase_waiters == 0);
  CHECK(states[0].pid == 0);
  CHECK(tables.queue_limit.at(queue) > 0);
}
