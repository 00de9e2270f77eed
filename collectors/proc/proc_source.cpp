// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/proc/proc_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <optional>
#include <unordered_set>

#include "collectors/name_spaces.h"
#include "collectors/proc/descriptors.h"
#include "collectors/proc/identity.h"
#include "collectors/proc/sharing.h"
#include "collectors/proc/sockets.h"
#include "collectors/proc/workers.h"

namespace ipcscope {

namespace {

constexpr const char* privilege_hint = "run as root or with CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH";

/// What one worker needs for itself.
struct Worker {
  TaskReader tasks;
  DescriptorReader descriptors;
  Worker(const SchedClock* clock, DescriptorContext& context)
      : tasks(clock), descriptors(context) {}
};

/// One walk: holds what was read until everything is known that records depend on.
class Walk {
 public:
  Walk(const ProcRoot& root, const Request& request);

  Result<void> read_all();
  void read_sockets();
  void join();
  void emit(const RecordSink& sink);
  void report(std::vector<Coverage>& coverage) const;
  [[nodiscard]] const std::vector<ProcProcess>& processes() const { return processes_; }

 private:
  [[nodiscard]] bool asked(int pid) const {
    return std::find(request_.pids.begin(), request_.pids.end(), pid) != request_.pids.end();
  }
  void read_process(Worker& worker, ProcProcess& process, const WantedObjects* wanted);
  void read_these(const std::vector<size_t>& which, const WantedObjects* wanted);
  WantedObjects wanted_objects();
  void load_name_spaces(const std::vector<size_t>& which);
  void emit_files(ProcProcess& process, const RecordSink& sink);
  void emit_unseen_locks(const RecordSink& sink);

  const ProcRoot& root_;
  const Request& request_;
  const bool live_;
  MountTable mounts_;
  LockReader locks_;
  QueueTable queues_;
  DescriptorContext context_;
  std::optional<SchedClock> clock_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<ProcProcess> processes_;
  SocketTable sockets_;
  std::unordered_set<uint32_t> loaded_net_;
  std::optional<WantedObjects> wanted_;
  SharedIdentities shared_;
  std::vector<bool> locks_seen_;
};

Walk::Walk(const ProcRoot& root, const Request& request)
    : root_(root),
      request_(request),
      live_(is_live(root)),
      mounts_(root),
      locks_(root),
      queues_(root, live_),
      context_(root, mounts_, locks_, queues_),
      sockets_(root, live_) {
  context_.wants_locks = request.wants(Kind::flock) || request.wants(Kind::fcntl) ||
                         request.wants(Kind::ofd) || request.wants(Kind::lease);
  if (live_) {
    clock_.emplace(root);
  }
}

void Walk::read_process(Worker& worker, ProcProcess& process, const WantedObjects* wanted) {
  char path[16];
  std::snprintf(path, sizeof path, "%d", process.pid);
  const Fd directory(::openat(root_.descriptor(), path, O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!directory) {
    return;
  }
  process.matched = wanted == nullptr;
  worker.tasks.read(directory.get(), process, wanted == nullptr);
  if (process.gone || process.kernel_thread) {
    process.readable = !process.gone;
    process.fd_count = 0;
    return;
  }
  worker.descriptors.read(directory.get(), process, wanted);
  if (wanted != nullptr && !process.files.empty()) {
    process.matched = true;
    process.threads.release();
    worker.tasks.read(directory.get(), process, true);
  }
}

void Walk::read_these(const std::vector<size_t>& which, const WantedObjects* wanted) {
  const size_t count = worker_count(which.size());
  while (workers_.size() < count) {
    workers_.push_back(std::make_unique<Worker>(clock_ ? &*clock_ : nullptr, context_));
  }
  share_work(which.size(), count, [&](size_t worker, size_t item) {
    read_process(*workers_[worker], processes_[which[item]], wanted);
  });
}

Result<void> Walk::read_all() {
  Result<std::vector<int>> pids = root_.numbers(".");
  if (!pids) {
    return Failure(pids.error());
  }
  std::sort(pids->begin(), pids->end());
  processes_.resize(pids->size());
  std::vector<size_t> first;
  std::vector<size_t> rest;
  for (size_t index = 0; index < pids->size(); index++) {
    processes_[index].pid = (*pids)[index];
    (request_.pids.empty() || asked((*pids)[index]) ? first : rest).push_back(index);
  }
  read_these(first, nullptr);
  if (!rest.empty()) {
    load_name_spaces(first);
    sockets_.finish();
    wanted_ = wanted_objects();
    read_these(rest, &*wanted_);
  }
  return {};
}

void Walk::load_name_spaces(const std::vector<size_t>& which) {
  static constexpr Kind kinds[] = {Kind::unix_socket, Kind::tcp, Kind::udp,  Kind::netlink,
                                   Kind::packet,      Kind::raw, Kind::vsock};
  const bool any = std::any_of(std::begin(kinds), std::end(kinds),
                               [&](Kind kind) { return request_.wants(kind); });
  if (!any) {
    return;
  }
  const auto own = root_.namespace_id(static_cast<int>(::getpid()), "net");
  if (own && loaded_net_.insert(*own).second) {
    sockets_.load(static_cast<int>(::getpid()), *own, request_);
  }
  for (const size_t index : which) {
    const ProcProcess& process = processes_[index];
    if (!process.gone && process.net_ns != UNKNOWN_U32 &&
        loaded_net_.insert(process.net_ns).second) {
      sockets_.load(process.pid, process.net_ns, request_);
    }
  }
}

WantedObjects Walk::wanted_objects() {
  WantedObjects wanted;
  std::vector<uint64_t> sockets;
  for (ProcProcess& process : processes_) {
    process.files.for_each([&](const record& head) {
      if (head.kind == RECORD_EPOLL_ITEM || head.kind == RECORD_LOCK) {
        return;
      }
      const auto& file = reinterpret_cast<const file_record&>(head);
      switch (head.kind) {
        case RECORD_SOCKET:
          sockets.push_back(file.inode);
          wanted.inodes.insert(file.inode);
          break;
        case RECORD_PIPE:
        case RECORD_SHMEM:
        case RECORD_MQ:
        case RECORD_PTY:
        case RECORD_FILE: {
          if (head.kind == RECORD_FILE && !locks_.table().names(file.device, file.inode)) {
            break;
          }
          wanted.inodes.insert(file.inode);
          wanted.kinds.insert(head.kind);
          wanted.files.insert(made_identity(IdentityOf::inode, file.device, file.inode));
          char path[48];
          std::snprintf(path, sizeof path, "%u/fd/%d", head.pid, file.fd);
          if (const auto link = root_.link(path)) {
            wanted.names.insert(link->substr(link->rfind('/') + 1));
          }
          break;
        }
        case RECORD_EVENTFD:
          wanted.events.insert(file.file);
          wanted.kinds.insert(head.kind);
          break;
        default:
          wanted.kinds.insert(head.kind);
      }
    });
  }
  for (const auto& worker : workers_) {
    for (const SharedFile& shared : worker->descriptors.shared()) {
      wanted.looks.insert(shared.look);
    }
  }
  for (const uint64_t peer : sockets_.peers_of(sockets)) {
    wanted.inodes.insert(peer);
  }
  return wanted;
}

void Walk::read_sockets() {
  std::vector<size_t> all;
  for (size_t index = 0; index < processes_.size(); index++) {
    all.push_back(index);
  }
  if (request_.pids.empty()) {
    load_name_spaces(all);
    sockets_.finish();
  }
}

void Walk::join() {
  std::vector<SharedFile> files;
  for (const auto& worker : workers_) {
    std::vector<SharedFile>& more = worker->descriptors.shared();
    files.insert(files.end(), more.begin(), more.end());
    std::vector<SharedFile>().swap(more);
  }
  if (live_) {
    shared_ = find_shared(files);
  }
  // vfork() and CLONE_VM: a child that still has its parent's memory looks exactly like it.
  std::unordered_map<int, size_t> by_pid;
  for (size_t index = 0; index < processes_.size(); index++) {
    ProcProcess& process = processes_[index];
    by_pid.emplace(process.pid, index);
    const auto parent = by_pid.find(process.ppid);
    if (!live_ || process.gone || process.memory == 0 || parent == by_pid.end()) {
      continue;
    }
    const ProcProcess& other = processes_[parent->second];
    if (other.memory != 0 &&
        std::equal(std::begin(process.memory_shape), std::end(process.memory_shape),
                   std::begin(other.memory_shape)) &&
        same_memory(process.pid, other.pid)) {
      const bool table = same_table(process.pid, other.pid);
      process.memory = other.memory;
      process.threads.for_each([&](record& head) {
        auto& thread = reinterpret_cast<thread_record&>(head);
        thread.mm = other.memory;
        if (table) {
          thread.files = made_identity(IdentityOf::table, static_cast<uint64_t>(other.pid));
        }
      });
    }
  }
}

void Walk::emit(const RecordSink& sink) {
  locks_seen_.assign(locks_.table().all().size(), false);
  for (ProcProcess& process : processes_) {
    if (process.gone) {
      continue;
    }
    process.threads.for_each([&](const record& head) { sink(head); });
    emit_files(process, sink);
    if (process.readable) {
      auto count = make_record<fd_count_record>(RECORD_FD_COUNT, static_cast<u32>(process.pid));
      count.count = process.fd_count;
      sink(count.head);
    }
    process.threads.release();
    process.files.release();
  }
  sockets_.emit_unseen(sink, wanted_ ? &wanted_->inodes : nullptr);
  emit_unseen_locks(sink);
}

void Walk::emit_files(ProcProcess& process, const RecordSink& sink) {
  const auto replace = [&](u64& identity) {
    if (const auto found = shared_.replaced.find(identity); found != shared_.replaced.end()) {
      identity = found->second;
    }
  };
  process.files.for_each([&](record& head) {
    switch (head.kind) {
      case RECORD_SOCKET:
        sockets_.emit(reinterpret_cast<const SocketDescriptor&>(head), sink);
        return;
      case RECORD_EPOLL_ITEM:
        replace(reinterpret_cast<epoll_item_record&>(head).epoll);
        replace(reinterpret_cast<epoll_item_record&>(head).target);
        break;
      case RECORD_FILE: {
        const auto& file = reinterpret_cast<const file_record&>(head);
        if (!locks_.table().names(file.device, file.inode)) {
          return;
        }
        break;
      }
      case RECORD_LOCK: {
        auto& lock = reinterpret_cast<lock_record&>(head);
        const LockLine line = {0,
                               false,
                               lock.flavour,
                               lock.type,
                               lock.owner,
                               lock.file.device,
                               lock.file.inode,
                               lock.start,
                               lock.end};
        if (const size_t index = locks_.table().find(line); index != SIZE_MAX) {
          locks_seen_[index] = true;
          lock.waiters = locks_.table().all()[index].waiters;
        }
        break;
      }
      case RECORD_EPOLL:
      case RECORD_SIGNALFD:
      case RECORD_TIMERFD:
      case RECORD_INOTIFY:
      case RECORD_IO_URING:
      case RECORD_EVENTFD: {
        auto& file = reinterpret_cast<file_record&>(head);
        replace(file.file);
        replace(file.object);
        break;
      }
      default:
        break;
    }
    sink(head);
  });
}

void Walk::emit_unseen_locks(const RecordSink& sink) {
  if (!request_.pids.empty() || !context_.wants_locks) {
    return;
  }
  for (size_t index = 0; index < locks_.table().all().size(); index++) {
    const LockTable::Held& held = locks_.table().all()[index];
    if (locks_seen_[index]) {
      continue;
    }
    auto lock = make_record<lock_record>(RECORD_LOCK, static_cast<u32>(std::max(held.line.pid, 0)));
    lock.file.fd = -1;
    lock.file.device = held.line.device;
    lock.file.inode = held.line.inode;
    lock.file.object = made_identity(IdentityOf::inode, held.line.device, held.line.inode);
    lock.file.mode = UNKNOWN_U32;
    lock.file.uid = UNKNOWN_U32;
    lock.start = held.line.start;
    lock.end = held.line.end;
    lock.flavour = held.line.flavour;
    lock.type = held.line.type;
    lock.owner = held.line.pid;
    lock.waiters = held.waiters;
    sink(lock.file.head);
  }
}

void Walk::report(std::vector<Coverage>& coverage) const {
  Coverage tasks;
  tasks.source = "proc-task";
  Coverage files;
  files.source = "proc-fd";
  uint64_t hidden = 0;
  for (const ProcProcess& process : processes_) {
    if (process.gone) {
      continue;
    }
    tasks.checked++;
    hidden += process.readable ? 0 : 1;
  }
  // The threads of others are seen, but not what they wait in.
  tasks.unreadable = hidden;
  uint64_t lost = 0;
  uint64_t untold = 0;
  for (const auto& worker : workers_) {
    files.checked += worker->descriptors.checked();
    lost += worker->descriptors.unreadable();
    untold += worker->descriptors.untold();
  }
  files.unreadable = hidden + lost + untold;
  if (hidden > 0) {
    const std::string reason = fmt::format("{} processes: permission denied", hidden);
    tasks.state = Coverage::State::partial;
    tasks.reason = reason;
    tasks.hint = privilege_hint;
    files.state = Coverage::State::partial;
    files.reason = reason;
    files.hint = privilege_hint;
  } else if (lost > 0) {
    files.state = Coverage::State::partial;
    files.reason = fmt::format("{} descriptors could not be read", lost);
    files.hint = privilege_hint;
  } else if (untold > 0) {
    files.state = Coverage::State::partial;
    files.reason = fmt::format("{} files on detached or hidden mounts were left alone", untold);
  } else if (shared_.refused > 0) {
    files.state = Coverage::State::partial;
    files.reason =
        fmt::format("{} descriptors could not be compared: kcmp is refused", shared_.refused);
    files.hint = privilege_hint;
  }
  coverage.push_back(std::move(tasks));
  coverage.push_back(std::move(files));
  coverage.push_back(sockets_.coverage());
}

}  // namespace

Result<void> ProcSource::walk(const Request& request, const RecordSink& sink,
                              std::vector<Coverage>& coverage) {
  Walk walk(root_, request);
  if (Result<void> done = walk.read_all(); !done) {
    coverage.push_back(
        {"proc-task", Coverage::State::unavailable, 0, 0, 0, done.error().text(), "mount /proc"});
    return done;
  }
  walk.read_sockets();
  walk.join();
  known_.clear();
  for (const ProcProcess& process : walk.processes()) {
    if (!process.gone) {
      known_.emplace(process.pid, Known{process.memory, process.mnt_ns, process.ipc_ns});
    }
  }
  walk.emit(sink);
  walk.report(coverage);
  return {};
}

}  // namespace ipcscope
