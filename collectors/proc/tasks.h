// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "bpf/thread.h"
#include "collectors/proc/file_reader.h"
#include "collectors/proc/record_buffer.h"
#include "collectors/proc/sched_clock.h"
#include "collectors/proc/task_files.h"

namespace ipcscope {

/// One process as a worker read it.
struct ProcProcess {
  int pid = 0;
  bool gone = true;       ///< ended before it could be read
  bool readable = false;  ///< its descriptors could be seen
  bool matched = true;    ///< asked for, or shares an object with one that is
  bool kernel_thread = false;
  int ppid = 0;
  uint32_t mnt_ns = UNKNOWN_U32;
  uint32_t net_ns = UNKNOWN_U32;
  uint32_t ipc_ns = UNKNOWN_U32;
  uint32_t fd_count = 0;          ///< when readable
  int files_from = 0;             ///< the thread whose descriptors stand for the process
  uint64_t memory = 0;            ///< identity of the address space
  uint64_t memory_shape[4] = {};  ///< equal in two processes that share their memory
  RecordBuffer threads;
  RecordBuffer files;
};

/// Reads the threads of one process. Belongs to one worker thread.
class TaskReader {
 public:
  explicit TaskReader(const SchedClock* clock);
  /// Fills process.threads and what is about the process. details = false: only the group leader,
  /// without its system call and times.
  void read(int process_directory, ProcProcess& process, bool details);

 private:
  bool read_thread(int directory, int tid, ProcProcess& process, const thread_record& common,
                   bool details);
  void read_namespaces(int process_directory, thread_record& common);

  const SchedClock* clock_;  ///< none: how long a thread is blocked stays unknown
  uint64_t tick_ns_;
  FileReader reader_;
  std::vector<int> tids_;
};

/// The numeric names in a directory, in its order; the error number, 0 when there was none.
int list_numbers(int directory, std::vector<int>& numbers);

}  // namespace ipcscope
