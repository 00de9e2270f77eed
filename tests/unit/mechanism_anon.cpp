// SPDX-License-Identifier: GPL-2.0-or-later
#include <csignal>

#include "bpf/anon.h"
#include "collectors/epoll.h"
#include "collectors/eventfd.h"
#include "collectors/inotify.h"
#include "collectors/io_uring.h"
#include "collectors/pidfd.h"
#include "collectors/pty.h"
#include "collectors/signalfd.h"
#include "collectors/timerfd.h"
#include "tests/unit/mechanism_support.h"

using namespace ipcscope;

namespace {

epoll_item_record watched(uint64_t epoll, int fd, uint64_t target, uint32_t events) {
  auto made = make_test_record<epoll_item_record>(RECORD_EPOLL_ITEM, 10);
  made.epoll = epoll;
  made.fd = fd;
  made.target = target;
  made.events = events;
  return made;
}

epoll_record instance(uint32_t pid, int fd, uint64_t file, uint32_t items = UNKNOWN_U32) {
  auto made = make_file<epoll_record>(RECORD_EPOLL, pid, fd, file, file);
  made.items = items;
  return made;
}

}  // namespace

TEST_CASE("an eventfd has its id", "[anon]") {
  MechanismTest test(eventfd_mechanism);
  test.process(10);
  auto event = make_file<eventfd_record>(RECORD_EVENTFD, 10, 3, 0xf1, 0xa);
  event.count = 7;
  event.id = 12;
  event.semaphore = 1;
  event.waiters = 2;
  test.take(event);
  event.file.fd = 4;
  test.take(event);
  auto old = make_file<eventfd_record>(RECORD_EVENTFD, 10, 5, 0xf2, 0xb);
  old.id = old.semaphore = old.waiters = UNKNOWN_U32;
  test.take(old);
  test.finish();
  CHECK(test.endpoints("eventfd:12") == "10:opener:3 10:opener:4");
  CHECK(test.attribute("eventfd:12", "count") == "7");
  CHECK(test.attribute("eventfd:12", "semaphore") == "true");
  CHECK(test.attribute("eventfd:12", "waiters") == "2");
  CHECK(test.attribute("eventfd:10:5", "semaphore") == "null");
}

TEST_CASE("an anonymous file is called after its lowest process and descriptor", "[anon]") {
  MechanismTest test(timerfd_mechanism);
  test.process(10);
  test.process(11);
  auto timer = make_file<timerfd_record>(RECORD_TIMERFD, 11, 9, 0xf1, 0xa);
  timer.remaining_ns = 1'500'000'001;
  timer.interval_ns = 0;
  timer.ticks = 3;
  timer.clock = CLOCK_BOOTTIME;
  test.take(timer);
  timer.file.head.pid = 10;
  timer.file.fd = 8;
  test.take(timer);
  timer.file.fd = 4;
  test.take(timer);
  timer.file.fd = -1;
  test.take(timer);
  auto queued = make_file<timerfd_record>(RECORD_TIMERFD, 10, -1, 0xf2, 0xb);
  queued.remaining_ns = UNKNOWN_U64;
  queued.clock = 99;
  test.take(queued);
  test.finish();
  CHECK(test.endpoints("timerfd:10:4") == "11:opener:9 10:opener:8 10:opener:4 10:opener:-1");
  CHECK(test.attribute("timerfd:10:4", "clock") == "boottime");
  CHECK(test.attribute("timerfd:10:4", "remaining_ms") == "1501");
  CHECK(test.attribute("timerfd:10:4", "interval_ms") == "0");
  CHECK(test.attribute("timerfd:10:4", "ticks") == "3");
  CHECK(test.attribute("timerfd:10:queued1", "clock") == "null");
  CHECK(test.attribute("timerfd:10:queued1", "remaining_ms") == "null");
}

TEST_CASE("the signals of a signalfd have names", "[anon]") {
  MechanismTest test(signalfd_mechanism);
  test.process(10);
  auto signals = make_file<signalfd_record>(RECORD_SIGNALFD, 10, 3, 0xf1, 0xa);
  signals.mask = uint64_t{1} << (SIGUSR1 - 1) | uint64_t{1} << (SIGCHLD - 1) | uint64_t{1} << 31 |
                 uint64_t{1} << 33 | uint64_t{1} << 63;
  test.take(signals);
  test.finish();
  CHECK(test.attribute("signalfd:10:3", "signals") ==
        R"(["SIGUSR1","SIGCHLD","32","SIGRTMIN","SIGRTMIN+30"])");
}

TEST_CASE("all pidfds of a process are one channel", "[anon]") {
  MechanismTest test(pidfd_mechanism);
  test.process(10);
  auto file = make_file<pidfd_record>(RECORD_PIDFD, 10, 3, 0xf1, 0xa);
  file.target = 99;
  test.take(file);
  file.file.fd = 4;
  file.file.file = file.file.object = 0xf2;
  test.take(file);
  auto gone = make_file<pidfd_record>(RECORD_PIDFD, 10, 5, 0xf3, 0xb);
  test.take(gone);
  test.finish();
  CHECK(test.endpoints("pidfd:99") == "10:opener:3 10:opener:4");
  CHECK(test.attribute("pidfd:99", "target") == "99");
  CHECK(test.attribute("pidfd:gone:10:5", "target") == "null");
}

TEST_CASE("inotify and io_uring tell their counts", "[anon]") {
  MechanismTest watches(inotify_mechanism);
  watches.process(10);
  auto inotify = make_file<inotify_record>(RECORD_INOTIFY, 10, 3, 0xf1, 0xa);
  inotify.watches = 5;
  watches.take(inotify);
  watches.finish();
  CHECK(watches.attribute("inotify:10:3", "watches") == "5");

  MechanismTest rings(io_uring_mechanism);
  rings.process(10);
  auto ring = make_file<io_uring_record>(RECORD_IO_URING, 10, 3, 0xf1, 0xa);
  ring.sq_entries = 8;
  ring.cq_entries = 16;
  ring.sq_pending = UNKNOWN_U32;
  ring.cq_pending = 2;
  rings.take(ring);
  rings.finish();
  CHECK(rings.attribute("io_uring:10:3", "cq_entries") == "16");
  CHECK(rings.attribute("io_uring:10:3", "sq_pending") == "null");
}

TEST_CASE("an epoll instance tells what it watches", "[anon]") {
  MechanismTest test(epoll_mechanism);
  test.process(10);
  test.process(11);
  SnapshotBuilder& builder = test.assembly.builder;
  const auto target = [&](uint64_t file, const char* id) {
    const ChannelIndex channel = builder.add_channel(Kind::pipe, id);
    Endpoint endpoint;
    endpoint.channel = channel;
    endpoint.file = file;
    builder.add_endpoint(endpoint);
  };
  target(0xe1, "pipe:1");
  target(0xe2, "fifo:/a\"\xff\xe2\x80\xae\xf0\x9f\x98\x80");
  test.take(instance(10, 3, 0xf1));
  test.take(watched(0xf1, 7, 0xe1, 0x80000000 | 1 | 8 | 16));  // ET, IN and what the kernel adds
  test.take(watched(0xf1, 8, 0xe2, 0x40000000));
  test.take(watched(0xf1, 9, 0, 1));
  test.take(instance(10, 4, 0xf2));
  // The other descriptors of the first, from a source that began again in the middle of one.
  test.take(instance(11, 3, 0xf1));
  test.take(watched(0xf1, 7, 0xe1, 1));
  test.take(instance(11, 3, 0xf1));
  test.take(watched(0xf1, 7, 0xe1, 1));
  test.take(watched(0xf1, 8, 0xe2, 1));
  test.take(instance(11, 5, 0xf3, 2));  // says that there are two, and none came
  test.finish();
  CHECK(test.attribute("epoll:10:3", "watches") == "3");
  CHECK(test.attribute("epoll:10:3", "items") ==
        R"([{"fd":7,"events":["in","et"],"target":"pipe:1"},)"
        R"({"fd":8,"events":["oneshot"],"target":"fifo:/a\u0022\ufffd\u202e\ud83d\ude00"},)"
        R"({"fd":9,"events":["in"],"target":null}])");
  CHECK(test.attribute("epoll:10:4", "watches") == "0");
  CHECK(test.attribute("epoll:10:4", "items") == "[]");
  CHECK(test.attribute("epoll:11:5", "watches") == "2");
  CHECK(test.attribute("epoll:11:5", "items") == "null");
}

TEST_CASE("both ends of a terminal are one channel", "[anon]") {
  MechanismTest test(pty_mechanism);
  test.process(10);
  test.process(11);
  test.process(20, 0, 4026539999);
  auto end = make_file<pty_record>(RECORD_PTY, 10, 3, 0xf1, 0xa);
  end.index = 4;
  end.master = 1;
  end.stopped = 1;
  end.packet_mode = UNKNOWN_U32;
  end.input_bytes = 5;
  end.output_bytes = 6;
  test.take(end);
  end.file.head.pid = 11;
  end.file.fd = 0;
  end.file.file = 0xf2;
  end.file.mode = S_IFCHR | 0620;
  end.master = 0;
  test.take(end);
  // The same number in another devpts.
  end.file.head.pid = 20;
  end.file.object = 0xb;
  test.take(end);
  test.finish();
  CHECK(test.endpoints("pty:4") == "10:master:3 11:slave:0");
  CHECK(test.channel("pty:4").permissions == 0620);
  CHECK(test.attribute("pty:4", "stopped") == "true");
  CHECK(test.attribute("pty:4", "packet_mode") == "null");
  CHECK(test.attribute("pty:4", "input_bytes") == "5");
  CHECK(test.channel("pty:4@4026539999").name_space == 4026539999);
}
