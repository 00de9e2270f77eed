// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "collectors/base/proc_root.h"
#include "collectors/base/result.h"

namespace ipcscope {

/// What all three kinds have. PIDs are those that the reader sees, 0 for none or not visible.
struct SysvRow {
  uint32_t key = 0;
  int32_t id = 0;
  uint32_t mode = 0;  ///< permission bits, of a segment also SHM_DEST and SHM_LOCKED
  uint32_t uid = 0, gid = 0, cuid = 0, cgid = 0;
  int64_t change_time = 0;  ///< seconds since the epoch, 0 never; so all times
};
struct ShmRow : SysvRow {
  uint64_t bytes = 0;
  uint64_t attaches = 0;
  int32_t creator = 0, last = 0;
  int64_t attach_time = 0, detach_time = 0;
};
struct SemRow : SysvRow {
  uint32_t semaphores = 0;
  int64_t operate_time = 0;
};
struct MsgRow : SysvRow {
  uint64_t bytes = 0;
  uint64_t messages = 0;
  int32_t last_sender = 0, last_receiver = 0;
  int64_t send_time = 0, receive_time = 0;
};

/// The lines of /proc/sysvipc/{shm,sem,msg} (Linux 6.18 ipc/shm.c, sem.c, msg.c:
/// sysvipc_*_proc_show; unchanged since 2.6.32 but for columns at the end). Lines that do not parse
/// are left out.
std::vector<ShmRow> parse_shm(std::string_view text);
std::vector<SemRow> parse_sem(std::string_view text);
std::vector<MsgRow> parse_msg(std::string_view text);

/// One semaphore; -1 where the kernel did not let us ask.
struct SemaphoreState {
  int32_t value = -1;
  int32_t pid = -1;  ///< of the last operation, 0 none or not visible
  int32_t increase_waiters = -1;
  int32_t zero_waiters = -1;
};

/// The System V objects of one IPC namespace.
struct SysvTables {
  uint32_t name_space = 0;    ///< inode number; 0: ipcscope's own
  int32_t error = 0;          ///< errno when nothing could be read
  uint32_t denied = 0;        ///< semaphore sets whose values could not be read
  std::string shm, sem, msg;  ///< text of the files in /proc/sysvipc
  std::unordered_map<int32_t, std::vector<SemaphoreState>> semaphores;  ///< by set
  std::unordered_map<int32_t, uint64_t> queue_limit;  ///< msg_qbytes by queue, in bytes
};

/// msg_qbytes of a queue of the IPC namespace that the calling thread is in, in bytes; nothing
/// where the kernel does not let us ask.
std::optional<uint64_t> ask_queue_limit(int id);

/// Reads the tables of the IPC namespace that the calling thread is in; ask_kernel: also semaphores
/// and queue limits, which /proc does not have.
SysvTables read_sysv_tables(const ProcRoot& proc, bool ask_kernel);

}  // namespace ipcscope
