// SPDX-License-Identifier: GPL-2.0-or-later
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>

#include "collectors/base/parse.h"
#include "collectors/kernel_layout.h"
#include "collectors/leftovers/instances.h"
#include "collectors/leftovers/lock_file.h"
#include "collectors/leftovers/mount_points.h"
#include "collectors/leftovers/pid_facts.h"
#include "collectors/mq_directory.h"
#include "collectors/proc/fdinfo.h"
#include "collectors/proc/locks.h"
#include "collectors/proc/maps.h"
#include "collectors/proc/mounts.h"
#include "collectors/proc/net_tables.h"
#include "collectors/proc/sock_diag.h"
#include "collectors/proc/task_files.h"
#include "collectors/removal/manifest.h"
#include "collectors/shm_directory.h"
#include "collectors/sysv_tables.h"
#include "tests/fuzz/driver.h"

namespace ipcscope::fuzz {

namespace {

template <typename Parse>
void each_line(std::string_view text, Parse&& parse) {
  while (!text.empty()) {
    parse(next_line(text));
  }
}

std::span<const std::byte> bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

/// Makes sure that a view in a result points into the input.
void touch(std::string_view part) {
  volatile char last = part.empty() ? '\0' : part.back();
  (void)last;
}

using namespace std::string_view_literals;

constexpr std::string_view sysv_lines =
    "headings\n"
    "  19088743          7  1600                  8192   100   101      2  1000  1001  1002  1003"
    " 1700000001          0 1700000000                  4096                     0\n";

/// Everything that a backup can say of an object.
std::string_view manifest_lines() {
  static const std::string text = [] {
    Saved saved;
    saved.object.path = "/a \xff";
    return head_line({"h", "k", "b", "t", 1}) + saved_line(saved) + removed_line(0) +
           restoring_line(0, {1, 2, std::nullopt}) + made_line(0, 3) + kept_line(0, "why") +
           restored_line(0, "shm:7");
  }();
  return text;
}

constexpr std::string_view tcp_line =
    "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000002 00:00000000 00000000  1000        0 "
    "6001 1 0000000000000000 100 0 0 10 0\n";
constexpr std::string_view udp6_line =
    " 1234: 00000000000000000000000001000000:0035 00000000000000000000000000000000:0000 07 "
    "00000000:00000340 00:00000000 00000000     0        0 5175272 2 0000000000000000 9\n";
constexpr std::string_view unix_answer =
    "\x01\x01\x0a\x00\x4d\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00"
    "\x0b\x00\x00\x00/run/x\x00\x00"
    "\x0c\x00\x03\x00\x4e\x00\x00\x00\x4f\x00\x00\x00"
    "\x0c\x00\x04\x00\x02\x00\x00\x00\x80\x00\x00\x00"
    "\x08\x00\x02\x00\x00\x00\x00\x00"
    "\x05\x00\x06\x00\x02\x00\x00\x00"sv;
constexpr std::string_view short_answer =
    "\x10\x03\x0f\x01\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c"
    "\x28\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00\x04\x00\x00\x00"
    "\x05\x00\x00\x00\x06\x00\x00\x00\x07\x00\x00\x00\x08\x00\x00\x00\x09\x00\x00\x00"
    "\x10\x00\x07\x00\x01\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00"
    "\x10\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00"sv;
constexpr std::string_view packet_answer =
    "\x11\x03\x00\x03\x09\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
    "\x10\x00\x04\x00\x01\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00"sv;
constexpr std::string_view inet_answer =
    "\x02\x01\x00\x00\x1f\x90\x00\x50\x7f\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
    "\x00"
    "\x7f\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x02\x03"
    "\x04"
    "\x05\x06\x07\x08\x00\x00\x00\x00\x03\x00\x00\x00\x80\x00\x00\x00\xe8\x03\x00\x00\x37\x00\x00"
    "\x00"
    "\x28\x00\x07\x00\x01\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00\x04\x00\x00\x00\x05\x00\x00"
    "\x00"
    "\x06\x00\x00\x00\x07\x00\x00\x00\x08\x00\x00\x00\x09\x00\x00\x00"sv;
constexpr std::string_view vsock_answer =
    "\x28\x01\x01\x00\x02\x00\x00\x00\x03\x00\x00\x00\x04\x00\x00\x00\x05\x00\x00\x00\x06\x00\x00"
    "\x00"
    "\x07\x00\x00\x00\x08\x00\x00\x00\x09\x00\x00\x00"sv;
constexpr std::string_view netlink_datagram =
    "\x14\x00\x00\x00\x14\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00"
    "\x14\x00\x00\x00\x03\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"sv;

// An int and struct pid with its level.
constexpr std::string_view kernel_btf =
    "\x9f\xeb\x01\x00\x18\x00\x00\x00\x00\x00\x00\x00\x28\x00\x00\x00\x28\x00\x00\x00\x0f\x00\x00"
    "\x00"
    "\x01\x00\x00\x00\x00\x00\x00\x01\x04\x00\x00\x00\x20\x00\x00\x00"
    "\x05\x00\x00\x00\x01\x00\x00\x04\x04\x00\x00\x00\x09\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00"
    "\x00"
    "\0int\0pid\0level\0"sv;

}  // namespace

std::span<const Target> targets() {
  static const std::vector<Target> table = {
      {"stat",
       [](std::string_view text) {
         if (const auto stat = parse_stat(text)) {
           touch(stat->comm);
         }
       },
       {"6348 (a) (b\n) S 6299 6348 6299 0 -1 4194304 94 0 0 0 1 2 0 0 20 0 3 0 144634 3133440 438 "
        "18446744073709551615 94860 94870 140726 0 0 0 0 0 0 0 0 0 17 5 0 0 0 0 0\n"}},
      {"status",
       [](std::string_view text) { (void)parse_status(text); },
       {"Name:\tx\nTracerPid:\t77\nUid:\t1\t1000\t2\t3\nNSpid:\t6348\t12\t7\nVmPeak:\t1 kB\n"}},
      {"syscall",
       [](std::string_view text) { (void)parse_syscall(text); },
       {"202 0x7f7a9e387000 0x80 0x0 0xffffffffffffffff 0x4 0x5 0x7ffc1ecb9438 0x7f7a9e5012ad\n",
        "-1 0x7ffc1ecb9438 0x7f7a9e5012ad\n", "running\n"}},
      {"sched",
       [](std::string_view text) { (void)parse_sched(text); },
       {"x (1, #threads: 1)\n---\nse.exec_start    :       1446269.371846\nnr_switches  :  67\n"}},
      {"fdinfo",
       [](std::string_view text) {
         if (const auto info = parse_fdinfo(text)) {
           touch(info->rest);
           (void)parse_scm_fds(info->rest);
           (void)parse_tty_index(info->rest);
         }
       },
       {"pos:\t0\nflags:\t02100002\nmnt_id:\t24\nino:\t91\ntty-index:\t7\n",
        "pos:\t0\nflags:\t02\nmnt_id:\t10\nino:\t91\nscm_fds: 3\n"}},
      {"eventfd",
       [](std::string_view text) { (void)parse_eventfd(text); },
       {"eventfd-count:               1f\neventfd-id: 3\neventfd-semaphore: 1\n"}},
      {"epoll",
       [](std::string_view text) {
         std::vector<EpollItem> items;
         parse_epoll(text, items);
       },
       {"tfd:        3 events:       19 data:                3  pos:0 ino:2b40 sdev:f\n"
        "tfd:        5 events: 80000001 data: ffffffffffffffff  pos:0 ino:14 sdev:fe00001\n"}},
      {"signalfd",
       [](std::string_view text) { (void)parse_signalfd(text); },
       {"sigmask:\t0000000000000200\n"}},
      {"timerfd",
       [](std::string_view text) { (void)parse_timerfd(text); },
       {"clockid: 1\nticks: 2\nsettime flags: 01\nit_value: (98, 66471445)\n"
        "it_interval: (1, 5)\n"}},
      {"pidfd",
       [](std::string_view text) { (void)parse_pidfd(text); },
       {"Pid:\t6306\nNSpid:\t1\n"}},
      {"inotify",
       [](std::string_view text) { (void)count_inotify(text); },
       {"inotify wd:1 ino:3c51a sdev:fe00000 mask:2 ignored_mask:0\n"}},
      {"io_uring",
       [](std::string_view text) { (void)parse_io_uring(text); },
       {"SqMask:\t0x3\nSqHead:\t4294967295\nSqTail:\t1\nCachedSqHead:\t0\nCqMask:\t7\nCqHead:\t5\n"
        "CqTail:\t9\n"}},
      {"mountinfo",
       [](std::string_view text) {
         each_line(text, [](std::string_view line) {
           if (const auto mount = parse_mountinfo_line(line)) {
             touch(mount->point);
             (void)filesystem_type(mount->type);
           }
         });
       },
       {"36 35 98:5 /mnt1 /mnt2 rw,noatime master:1 shared:2 - ext3 /dev/root rw\n"
        "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard\n"}},
      {"maps",
       [](std::string_view text) {
         each_line(text, [](std::string_view line) {
           if (const auto map = parse_maps_line(line)) {
             touch(map->path);
           }
         });
       },
       {"7fd6d7f17000-7fd6d7f1e000 rw-s 00002000 fe:01 332280       /dev/shm/a b (deleted)\n"
        "7fd6d7f17000-7fd6d7f1e000 r-xp 00000000 00:00 0 \n"}},
      {"locks",
       [](std::string_view text) {
         LockTable locks;
         locks.load(text);
       },
       {"1: POSIX  ADVISORY  WRITE 6306 fe:00:10953066 5 14\n"
        "1: -> POSIX  ADVISORY  READ  6310 fe:00:10953066 0 EOF\n"
        "3: OFDLCK ADVISORY  READ  -1 00:1b:7 0 EOF\n4: LEASE  BREAKING  UNLCK 12 00:1b:8 0 "
        "EOF\n"}},
      {"net_unix",
       [](std::string_view text) {
         each_line(text, [](std::string_view line) { (void)parse_net_unix(line); });
       },
       {"000000002d0ab789: 00000003 00000000 00000000 0001 03  1210 /run/a b\n"
        "000000002d0ab789: 00000002 00000000 00010000 0005 01  11 @x\n"}},
      {"net_inet",
       [](std::string_view text) {
         each_line(text, [](std::string_view line) {
           (void)parse_net_inet(line, AF_INET, IPPROTO_TCP);
           (void)parse_net_inet(line, AF_INET, IPPROTO_RAW);
         });
       },
       {tcp_line}},
      {"net_inet6",
       [](std::string_view text) {
         each_line(text, [](std::string_view line) {
           (void)parse_net_inet(line, AF_INET6, IPPROTO_UDP);
         });
       },
       {udp6_line}},
      {"net_netlink",
       [](std::string_view text) {
         each_line(text, [](std::string_view line) { (void)parse_net_netlink(line); });
       },
       {"000000006dce5577 15  4242       00000001 12       0        0     2        3        4\n"}},
      {"net_packet",
       [](std::string_view text) {
         each_line(text, [](std::string_view line) { (void)parse_net_packet(line); });
       },
       {"0000000000000000 3      3    0003   0     1 0      0      5175275\n"}},
      {"unix_diag",
       [](std::string_view text) { (void)parse_unix_diag(bytes(text)); },
       {unix_answer}},
      {"inet_diag",
       [](std::string_view text) {
         (void)parse_inet_diag(bytes(text), IPPROTO_TCP);
         (void)parse_inet_diag(bytes(text), IPPROTO_UDP);
       },
       {inet_answer}},
      {"netlink_diag",
       [](std::string_view text) { (void)parse_netlink_diag(bytes(text)); },
       {short_answer}},
      {"packet_diag",
       [](std::string_view text) { (void)parse_packet_diag(bytes(text)); },
       {packet_answer}},
      {"vsock_diag",
       [](std::string_view text) { (void)parse_vsock_diag(bytes(text)); },
       {vsock_answer}},
      {"netlink",
       [](std::string_view text) {
         for_each_message(bytes(text), [](uint16_t, std::span<const std::byte> payload) {
           (void)parse_unix_diag(payload);
         });
       },
       {netlink_datagram}},
      {"sysv",
       [](std::string_view text) {
         (void)parse_shm(text);
         (void)parse_sem(text);
         (void)parse_msg(text);
       },
       {sysv_lines}},
      {"mqueue",
       [](std::string_view text) {
         mq_record facts{};
         (void)parse_queue_file(text, facts);
       },
       {"QSIZE:129        NOTIFY:2     SIGNO:0     NOTIFY_PID:8260  \n"}},
      {"kernel_layout",
       [](std::string_view text) {
         std::vector<u32> aligned((text.size() + 3) / 4);
         std::copy(text.begin(), text.end(), reinterpret_cast<char*>(aligned.data()));
         const auto blob = std::as_bytes(std::span(aligned)).first(text.size());
         find_kernel_layout(blob, {blob});
       },
       {kernel_btf}},
      {"manifest",
       [](std::string_view text) {
         if (const auto manifest = parse_manifest(text)) {
           for (const Saved& each : manifest->objects) {
             touch(saved_line(each));
           }
         }
       },
       {manifest_lines()}},
      {"shm_mount",
       [](std::string_view text) {
         if (const auto mount = find_mount(text, "/dev/shm")) {
           touch(mount->type);
         }
       },
       {"23 22 0:27 / /dev/shm rw shared:2 - tmpfs tmpfs rw\n25 1 254:0 / / rw - ext4 x rw\n"}},
      {"mount_points",
       [](std::string_view text) {
         const MountPoints mounts(text);
         (void)mounts.holder("/var/lib", false);
         (void)mounts.holder("/", true);
       },
       {"6 2 0:4 net:[4026532300] /run/netns/a\\040b rw - nsfs nsfs rw\n"
        "4 3 0:32 / /var/lib rw - overlay overlay rw\n"}},
      {"lock_file",
       [](std::string_view text) {
         (void)is_lock_file_name(text);
         (void)parse_lock_pid(text);
       },
       {"      4711\n", ".X0-lock"}},
      {"postmaster",
       [](std::string_view text) { (void)parse_postmaster(text); },
       {"4711\n/data\n1700000000\n5432\n/run/postgresql\nlocalhost\n  5432001      65538\n"
        "ready\n"}},
      {"oratab",
       [](std::string_view text) { (void)parse_oratab(text); },
       {"# x\nORCL:/u01/app/oracle:Y\n*:/u01:N\n"}},
      {"sapservices",
       [](std::string_view text) { (void)parse_sapservices(text); },
       {"/usr/sap/NPL/D00/exe/sapstartsrv pf=/usr/sap/NPL/SYS/profile/NPL_D00_host -D -u "
        "npladm\n"}},
      {"semaphore_pids",
       [](std::string_view text) {
         std::vector<int32_t> pids;
         add_semaphore_pids(text, pids);
       },
       {R"([{"index":0,"value":1,"pid":77,"increase_waiters":0},{"index":1,"pid":null}])"}},
  };
  return table;
}

}  // namespace ipcscope::fuzz
