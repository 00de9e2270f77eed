// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/live/unknown_to_proc.h"

#include <sys/eventfd.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <string>

#include "collectors/base/fd.h"

namespace ipcscope::live {

namespace {

struct Member {
  std::string_view kind;
  std::string_view path;
};

/// Only what no interface tells without opening or stopping what is looked at. A null anywhere else
/// is a fault of the /proc source.
constexpr Member members[] = {
    // A pipe has no fdinfo of its own; FIONREAD would need an own descriptor of the target's pipe.
    {"pipe", "depth.bytes"},
    {"pipe", "capacity.bytes"},
    {"pipe", "attributes.buffers_used"},
    {"pipe", "attributes.buffers_max"},
    {"pipe", "attributes.readers"},
    {"pipe", "attributes.writers"},
    {"fifo", "depth.bytes"},
    {"fifo", "capacity.bytes"},
    {"fifo", "attributes.buffers_used"},
    {"fifo", "attributes.buffers_max"},
    {"fifo", "attributes.readers"},
    {"fifo", "attributes.writers"},
    // unix_diag counts bytes, not messages; memory and buffers only of this end (SK_MEMINFO).
    {"unix", "depth.messages"},
    {"unix", "capacity.messages"},
    {"unix", "attributes.rx_messages"},
    {"unix", "attributes.peer_rx_messages"},
    // Of a datagram socket, rqueue is the size of the first message (unix_inq_len).
    {"unix dgram", "depth.bytes"},
    {"unix dgram", "attributes.rx_bytes"},
    {"unix dgram", "attributes.peer_rx_bytes"},
    // udp_diag and /proc/net/udp count the memory that datagrams take, not their bytes.
    {"udp", "depth.bytes"},
    {"udp", "attributes.rx_bytes"},
    // raw_diag is mostly not built (CONFIG_INET_RAW_DIAG), and /proc/net/raw has no limits.
    {"raw", "capacity.bytes"},
    // netlink_diag has no user; vsock_diag is mostly not built, and has neither user nor memory.
    {"netlink", "owner"},
    {"vsock", "owner"},
    {"vsock", "depth.bytes"},
    {"vsock", "capacity.bytes"},
    {"vsock", "attributes.state"},
    {"vsock", "attributes.local"},
    {"vsock", "attributes.remote"},
    // What of a file on a disk is in memory only mincore of an own mapping tells.
    {"mmap", "attributes.resident_bytes"},
    // fdinfo's scm_fds is there since 5.15 but counts one end only, and not for every kind.
    {"unix", "attributes.fds_in_flight"},
    // F_GET_SEALS needs an own descriptor.
    {"memfd", "attributes.seals"},
    // The wait queue is the kernel's own.
    {"eventfd", "attributes.waiters"},
    // Queues of a terminal: TIOCINQ and TIOCOUTQ need an own descriptor, and so does TIOCGPKT.
    {"pty", "attributes.input_bytes"},
    {"pty", "attributes.output_bytes"},
    {"pty", "attributes.stopped"},
    {"pty", "attributes.packet_mode"},
    // /dev/mqueue/NAME has QSIZE and the notification, not the number of messages.
    {"mq", "depth.messages"},
    {"mq", "attributes.waiting_senders"},
    {"mq", "attributes.waiting_receivers"},
};

/// The line "eventfd-semaphore" came with Linux 6.5.
bool has_fdinfo_semaphore() {
  const ipcscope::Fd own(::eventfd(0, EFD_CLOEXEC));
  std::ifstream file("/proc/self/fdinfo/" + std::to_string(own.get()));
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  return text.find("eventfd-semaphore") != std::string::npos;
}

}  // namespace

bool is_unknown_to_proc(std::string_view kind, std::string_view type, std::string_view path) {
  if (kind == "eventfd" && path == "attributes.semaphore") {
    static const bool known = has_fdinfo_semaphore();
    return !known;
  }
  const std::string typed = std::string(kind) + " " + std::string(type);
  return std::any_of(std::begin(members), std::end(members), [&](const Member& each) {
    return (each.kind == kind || each.kind == typed) && each.path == path;
  });
}

}  // namespace ipcscope::live
