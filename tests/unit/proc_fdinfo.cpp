// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/proc/fdinfo.h"

#include <catch2/catch.hpp>

using namespace ipcscope;

TEST_CASE("fdinfo: common lines, without close-on-exec", "[proc]") {
  const auto info =
      parse_fdinfo("pos:\t0\nflags:\t02100002\nmnt_id:\t24\nino:\t91\ntty-index:\t7\n");
  REQUIRE(info);
  CHECK(info->flags == 0100002U);
  CHECK(info->mount == 24);
  CHECK(info->inode == 91U);
  CHECK(parse_tty_index(info->rest) == 7U);
  const auto old = parse_fdinfo("pos:\t0\nflags:\t00\nmnt_id:\t9\n");
  REQUIRE(old);
  CHECK_FALSE(old->inode);
  CHECK_FALSE(parse_fdinfo("pos:\t0\n"));
  CHECK_FALSE(parse_fdinfo("flags:\t9\n"));
}

TEST_CASE("fdinfo: eventfd of old and new kernels", "[proc]") {
  const auto event =
      parse_eventfd("eventfd-count:               1f\neventfd-id: 3\neventfd-semaphore: 1\n");
  REQUIRE(event);
  CHECK(event->count == 31);
  CHECK(event->id == 3U);
  CHECK(event->semaphore == 1U);
  const auto old = parse_eventfd("eventfd-count:                7\n");
  REQUIRE(old);
  CHECK_FALSE(old->id);
  CHECK_FALSE(parse_eventfd("eventfd-id: 3\n"));
}

TEST_CASE("fdinfo: epoll items", "[proc]") {
  std::vector<EpollItem> items;
  parse_epoll(
      "tfd:        3 events:       19 data:                3  pos:0 ino:2b40 sdev:f\n"
      "tfd:        5 events: 80000001 data: ffffffffffffffff  pos:0 ino:14 sdev:fe00001\n"
      "tfd:        8 events:        1 data:                0\n",
      items);
  REQUIRE(items.size() == 3);
  CHECK(items[0].fd == 3);
  CHECK(items[0].events == 0x19);
  CHECK(items[0].inode == 0x2b40);
  CHECK(items[0].device == 0xf);
  CHECK(items[1].events == 0x80000001);
  CHECK(items[1].device == 0xfe00001);
  CHECK(items[2].inode == 0);
}

TEST_CASE("fdinfo: signalfd, timerfd, pidfd, inotify", "[proc]") {
  CHECK(parse_signalfd("sigmask:\t0000000000000200\n") == 0x200U);
  const auto timer = parse_timerfd(
      "clockid: 1\nticks: 2\nsettime flags: 01\nit_value: (98, 66471445)\nit_interval: (1, 5)\n");
  REQUIRE(timer);
  CHECK(timer->clock == 1);
  CHECK(timer->ticks == 2);
  CHECK(timer->remaining_ns == 98066471445U);
  CHECK(timer->interval_ns == 1000000005U);
  CHECK_FALSE(parse_timerfd("clockid: 1\nticks: 2\nit_value: (1, 2000000000)\n"));
  CHECK(parse_pidfd("Pid:\t-1\nNSpid:\t-1\n") == -1);
  CHECK(count_inotify("inotify wd:1 ino:1 sdev:1\ninotify wd:2 ino:1 sdev:1\n") == 2);
  CHECK(parse_scm_fds("scm_fds: 3\n") == 3U);
}

TEST_CASE("fdinfo: io_uring with hexadecimal, decimal and no fields", "[proc]") {
  const IoUringInfo ring = parse_io_uring(
      "SqMask:\t0x3\nSqHead:\t4294967295\nSqTail:\t1\nCachedSqHead:\t0\nCqMask:\t0x7\n"
      "CqHead:\t5\nCqTail:\t9\nCachedCqTail:\t9\nSQEs:\t0\n");
  CHECK(ring.sq_entries == 4U);
  CHECK(ring.cq_entries == 8U);
  CHECK(ring.sq_pending == 2U);
  CHECK(ring.cq_pending == 4U);
  CHECK(parse_io_uring("SqMask:\t31\n").sq_entries == 32U);
  CHECK_FALSE(parse_io_uring("SqThread:\t-1\nUserFiles:\t0\n").sq_entries);
}
