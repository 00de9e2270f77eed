// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/proc/tasks.h"

#include <dirent.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "collectors/base/parse.h"
#include "collectors/proc/identity.h"

namespace ipcscope {

namespace {

/// The head of a struct linux_dirent64 (getdents64(2)).
struct DirectoryEntry {
  uint64_t inode;
  int64_t next;
  uint16_t size;
  uint8_t type;
};
constexpr size_t name_offset = 19;

uint32_t namespace_inode(int process_directory, const char* path) {
  char target[64];
  const ssize_t length = ::readlinkat(process_directory, path, target, sizeof target);
  std::string_view text(target, length > 0 ? static_cast<size_t>(length) : 0);
  const size_t open = text.find('[');
  if (open == std::string_view::npos || !text.ends_with(']')) {
    return UNKNOWN_U32;
  }
  text = text.substr(open + 1, text.size() - open - 2);
  return parse_number<uint32_t>(text).value_or(UNKNOWN_U32);
}

}  // namespace

int list_numbers(int directory, std::vector<int>& numbers) {
  // readdir() would do, at twice the cost: this runs for each of a host's processes.
  alignas(DirectoryEntry) char buffer[size_t{32} << 10];
  while (true) {
    const long got = ::syscall(SYS_getdents64, directory, buffer, sizeof buffer);
    if (got <= 0) {
      return got == 0 ? 0 : errno;
    }
    for (size_t at = 0; at < static_cast<size_t>(got);) {
      const auto* entry = reinterpret_cast<const DirectoryEntry*>(buffer + at);
      if (const auto number = parse_number<int>(std::string_view(buffer + at + name_offset))) {
        numbers.push_back(*number);
      }
      at += entry->size;
    }
  }
}

TaskReader::TaskReader(const SchedClock* clock)
    : clock_(clock), tick_ns_(1000000000U / static_cast<uint64_t>(::sysconf(_SC_CLK_TCK))) {}

void TaskReader::read_namespaces(int process_directory, thread_record& common) {
  common.pid_ns = namespace_inode(process_directory, "ns/pid");
  common.ipc_ns = namespace_inode(process_directory, "ns/ipc");
  common.net_ns = namespace_inode(process_directory, "ns/net");
  common.mnt_ns = namespace_inode(process_directory, "ns/mnt");
}

void TaskReader::read(int process_directory, ProcProcess& process, bool details) {
  const TaskStatus status = parse_status(reader_.read(process_directory, "status"));
  if (!status.uid) {
    return;
  }
  auto common = make_record<thread_record>(RECORD_THREAD, static_cast<u32>(process.pid));
  common.uid = *status.uid;
  common.tracer = static_cast<u32>(status.tracer);
  common.ns_pid = status.nested ? static_cast<u32>(status.ns_pid) : static_cast<u32>(process.pid);
  common.files = made_identity(IdentityOf::table, static_cast<uint64_t>(process.pid));
  read_namespaces(process_directory, common);
  process.mnt_ns = common.mnt_ns;
  process.net_ns = common.net_ns;
  process.ipc_ns = common.ipc_ns;
  process.files_from = process.pid;

  tids_.clear();
  if (details) {
    const Fd tasks(::openat(process_directory, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (tasks) {
      list_numbers(tasks.get(), tids_);
    }
  }
  // The leader comes first whatever the order of the directory.
  std::erase(tids_, process.pid);
  process.gone = !read_thread(process_directory, process.pid, process, common, details);
  for (const int tid : tids_) {
    if (process.gone) {
      break;
    }
    read_thread(process_directory, tid, process, common, details);
  }
}

bool TaskReader::read_thread(int directory, int tid, ProcProcess& process,
                             const thread_record& common, bool details) {
  char path[48];
  // Through task/ even for the leader: PID/stat sums up the times of all threads.
  const int prefix = std::snprintf(path, sizeof path, "task/%d/", tid);
  const auto file = [&](const char* name) {
    std::snprintf(path + prefix, sizeof path - static_cast<size_t>(prefix), "%s", name);
    return reader_.read(directory, path);
  };
  const auto stat = parse_stat(file("stat"));
  if (!stat) {
    return false;
  }
  const bool leader = tid == process.pid;
  thread_record thread = common;
  thread.tid = static_cast<u32>(tid);
  thread.ns_tid = leader ? common.ns_pid : static_cast<u32>(tid);
  thread.ppid = static_cast<u32>(stat->ppid);
  thread.state = static_cast<u32>(static_cast<unsigned char>(stat->state));
  thread.start_ns = stat->start_ticks * tick_ns_;
  thread.syscall = -2;
  thread.blocked_ns = UNKNOWN_U64;
  thread.last_run_ns = UNKNOWN_U64;
  thread.switches = UNKNOWN_U64;
  std::copy_n(stat->comm.data(), std::min(stat->comm.size(), sizeof thread.comm - 1), thread.comm);
  const bool dead = stat->state == 'Z' || stat->state == 'X';
  if (leader) {
    process.kernel_thread = stat->kernel_thread();
    process.ppid = stat->ppid;
    const bool has_memory = !process.kernel_thread && !(dead && stat->threads <= 1);
    process.memory =
        has_memory ? made_identity(IdentityOf::memory, static_cast<uint64_t>(process.pid)) : 0;
    process.memory_shape[0] = stat->virtual_bytes;
    process.memory_shape[1] = stat->resident_pages;
    process.memory_shape[2] = stat->start_code;
    process.memory_shape[3] = stat->start_stack;
  } else if (process.files_from == process.pid && !dead &&
             reinterpret_cast<const thread_record&>(process.threads.at(0)).state == 'Z') {
    process.files_from = tid;  // the leader has ended and its descriptor table is gone
  }
  thread.mm = process.memory;
  if (process.kernel_thread || dead || stat->state == 'R') {
    // A running thread's registers are no evidence of what it does.
    thread.syscall = -1;
  }
  if (!leader && common.ns_pid != common.head.pid) {
    const TaskStatus own = parse_status(file("status"));
    thread.ns_tid = own.ns_pid != 0 ? static_cast<u32>(own.ns_pid) : UNKNOWN_U32;
    thread.tracer = static_cast<u32>(own.tracer);
  } else if (!leader && (stat->state == 't' || common.tracer != 0)) {
    thread.tracer = static_cast<u32>(parse_status(file("status")).tracer);
  }
  if (details && thread.syscall == -2) {
    if (const auto call = parse_syscall(file("syscall"))) {
      thread.syscall = call->number;
      std::copy(std::begin(call->args), std::end(call->args), std::begin(thread.args));
      thread.stack = call->stack;
      thread.instruction = call->instruction;
    }
  }
  if (details && !dead) {
    const auto now = clock_ != nullptr ? clock_->now(stat->processor) : std::nullopt;
    const TaskSched sched = parse_sched(file("sched"));
    thread.switches = sched.switches.value_or(UNKNOWN_U64);
    if (now && sched.exec_start_ns && stat->state != 'R') {
      thread.blocked_ns = *now > *sched.exec_start_ns ? *now - *sched.exec_start_ns : 0;
    }
  }
  process.threads.append(thread);
  return true;
}

}  // namespace ipcscope
