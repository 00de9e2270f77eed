// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bpf/mq.h"
#include "collectors/base/fd.h"
#include "collectors/base/result.h"

namespace ipcscope {

constexpr uint32_t mqueue_magic = 0x19800202;  // ipc/mqueue.c

/// The directory of the calling thread's mqueue file system, mounted nowhere (Linux 5.2); empty
/// where that is refused.
Fd detached_mqueue();

/// A queue as its file in the mqueue file system shows it. facts has no process and no identities.
struct QueueEntry {
  mq_record facts{};
  std::string name;  ///< whole, without the slash
  uint32_t gid = 0;
  int64_t change_time = 0;  ///< of the last message, or when it was made
};

/// The queues of one IPC namespace.
struct QueueList {
  uint32_t name_space = 0;  ///< inode number, 0: ipcscope's own
  int32_t error = 0;        ///< errno when they could not be listed
  uint32_t device = 0;      ///< of the namespace's mqueue file system, as in records
  std::vector<QueueEntry> queues;
};

/// The mqueue file system of the IPC namespace that the calling thread is in, through a mount that
/// nobody else sees: detached (Linux 5.2), else, in a thread that may change its mount namespace, a
/// private one. As a last resort what is mounted on /dev/mqueue, where that is
/// allowed. Empty, with errno, when it cannot be had.
Fd open_mqueue(bool own_thread, bool use_dev_mqueue);

/// Lists the queues in it.
QueueList list_queues(bool own_thread, bool use_dev_mqueue);

/// "QSIZE:129 NOTIFY:2 SIGNO:0 NOTIFY_PID:8260", what reading a queue's file gives (Linux 6.18
/// ipc/mqueue.c, mqueue_read_file). False when the text is something else.
bool parse_queue_file(std::string_view text, mq_record& facts);

}  // namespace ipcscope
