// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/locks/lock_names.h"

#include <fmt/format.h>
#include <linux/futex.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>

#include "collectors/base/parse.h"
#include "collectors/proc/maps.h"
#include "collectors/proc/task_files.h"
#include "collectors/session.h"
#include "collectors/shmem_type.h"
#include "collectors/syscalls.h"
#include "collectors/target_memory.h"

namespace ipcscope {

namespace {

#ifndef SYS_futex_wait
constexpr uint32_t futex2_wait = 455;  // Linux 6.7 scripts/syscall.tbl
#else
constexpr uint32_t futex2_wait = SYS_futex_wait;
#endif

FutexCall call_of(uint32_t number, uint64_t address, uint64_t operation, uint64_t expected) {
  FutexCall call;
  call.address = address;
  call.expected = static_cast<uint32_t>(expected);
  if (number == futex2_wait) {
    call.kind = FutexCallKind::wait_bitset;
    return call;
  }
  switch (operation & static_cast<unsigned>(FUTEX_CMD_MASK)) {
    case FUTEX_LOCK_PI:
    case 13:  // FUTEX_LOCK_PI2, Linux 5.14
      call.kind = FutexCallKind::lock_pi;
      break;
    case FUTEX_WAIT_BITSET:
      call.kind = FutexCallKind::wait_bitset;
      break;
    case FUTEX_WAIT_REQUEUE_PI:
      call.kind = FutexCallKind::wait_requeue_pi;
      break;
    default:
      break;
  }
  call.private_flag = (operation & FUTEX_PRIVATE_FLAG) != 0;
  call.realtime = (operation & FUTEX_CLOCK_REALTIME) != 0;
  return call;
}

FutexView view_of(int32_t pid, uint64_t address) {
  TargetMemory memory(true);
  FutexView view;
  char bytes[std::max(FutexView::before, FutexView::after)];
  if (memory.read(pid, address - FutexView::before, bytes, FutexView::before)) {
    view.put(-FutexView::before, {bytes, FutexView::before});
  }
  if (memory.read(pid, address, bytes, FutexView::after)) {
    view.put(0, {bytes, FutexView::after});
  }
  return view;
}

WaitPurpose purpose_of(Primitive primitive, const FutexCall& call) {
  switch (primitive) {
    case Primitive::mutex:
    case Primitive::pi_mutex:
    case Primitive::rwlock:
    case Primitive::semaphore:
      return WaitPurpose::lock;
    case Primitive::unknown:
      // The mutexes of Rust, Go, musl and glibc's own have 2 for "taken, and somebody waits".
      return call.expected == 2 || call.kind == FutexCallKind::lock_pi ? WaitPurpose::lock
                                                                       : WaitPurpose::event;
    default:
      return WaitPurpose::event;
  }
}

/// What an object in shared memory is called, as `ls` does.
std::string object_name(std::string_view path, uint64_t inode) {
  const bool deleted = path.ends_with(deleted_suffix);
  const std::string_view name = without_deleted(path, deleted);
  if (name.starts_with("/SYSV")) {
    return fmt::format("shm:{}", inode);
  }
  if (name == "/dev/zero" && deleted) {
    return fmt::format("anon#{}", inode);
  }
  if (name.starts_with("/memfd:")) {
    return fmt::format("{}#{}", name.substr(1), inode);
  }
  return deleted ? fmt::format("{}#{}", name, inode) : std::string(name);
}

std::string_view between(std::string_view text, std::string_view before, std::string_view after) {
  if (!text.starts_with(before) || !text.ends_with(after)) {
    return {};
  }
  return text.substr(before.size(), text.size() - before.size() - after.size());
}

}  // namespace

const LockNames::Mapping* LockNames::mapping_at(int32_t pid, uint64_t address) {
  Space& space = spaces_[pid];
  const auto find = [&]() -> const Mapping* {
    const auto at = std::upper_bound(space.mappings.begin(), space.mappings.end(), address,
                                     [](uint64_t a, const Mapping& m) { return a < m.end; });
    return at != space.mappings.end() && at->start <= address ? &*at : nullptr;
  };
  const auto now = std::chrono::steady_clock::now();
  const Mapping* found = find();
  if (found != nullptr || now - space.read_at < std::chrono::seconds(1)) {
    return found;
  }
  const Result<std::string> text = proc_.read(fmt::format("{}/maps", pid));
  if (!text || text->empty()) {
    return nullptr;  // gone; what was read before stays
  }
  space.read_at = now;
  space.mappings.clear();
  std::string_view rest = *text;
  while (!rest.empty()) {
    if (const auto line = parse_maps_line(next_line(rest))) {
      space.mappings.push_back({line->start, line->end, line->offset, line->inode, line->device,
                                line->shared, std::string(line->path)});
    }
  }
  return find();
}

int32_t LockNames::thread_of(int32_t pid, uint32_t number) {
  if (number == 0 || number > 4'194'304) {  // PID_MAX_LIMIT
    return 0;
  }
  const Result<std::string> status = proc_.read(fmt::format("{}/status", pid));
  if (status && !parse_status(*status).nested) {
    // The holder may be in another process where the memory is shared.
    return proc_.read(fmt::format("{}/task/{}/comm", pid, number)) ||
                   proc_.read(fmt::format("{}/comm", number))
               ? static_cast<int32_t>(number)
               : 0;
  }
  auto& [read_at, threads] = nested_threads_[pid];
  const auto now = std::chrono::steady_clock::now();
  if (threads.count(number) == 0 && now - read_at > std::chrono::seconds(1)) {
    read_at = now;
    const Result<std::vector<int>> tids = proc_.numbers(fmt::format("{}/task", pid).c_str());
    for (const int tid : tids ? *tids : std::vector<int>()) {
      const Result<std::string> text = proc_.read(fmt::format("{}/task/{}/status", pid, tid));
      if (text) {
        threads[static_cast<uint32_t>(parse_status(*text).ns_pid)] = tid;
      }
    }
  }
  const auto found = threads.find(number);
  return found == threads.end() ? 0 : found->second;
}

void LockNames::judge(LockIdentity& lock, const FutexCall& call, const FutexView& view) {
  const FutexGuess guess =
      judge_futex(call, view, [&](uint32_t number) { return thread_of(lock.pid, number) != 0; });
  lock.futex = guess.primitive;
  lock.primitive = primitive_name(guess.primitive);
  lock.purpose = purpose_of(guess.primitive, call);
}

/// What a futex is that was not recognised, by its neighbours. Threads wait at three words of an
/// rwlock (glibc 2.36: __readers, and __wrphase_futex and __writers_futex 8 and 12 bytes behind
/// it), and at two of a condition variable (__g_signals).
Primitive LockNames::primitive_beside(lock_key key) const {
  struct Neighbour {
    int64_t offset;
    Primitive primitive;
  };
  constexpr Neighbour neighbours[] = {
      {-12, Primitive::rwlock}, {-8, Primitive::rwlock}, {-4, Primitive::rwlock},
      {4, Primitive::rwlock},   {8, Primitive::rwlock},  {12, Primitive::rwlock},
      {-4, Primitive::condvar}, {4, Primitive::condvar},
  };
  const uint64_t word = key.object;
  for (const Neighbour& each : neighbours) {
    key.object = word + static_cast<uint64_t>(each.offset);
    const auto found = locks_.find(key);
    if (found != locks_.end() && found->second.futex == each.primitive) {
      return each.primitive;
    }
  }
  return Primitive::unknown;
}

void LockNames::judge_again() {
  constexpr int tries = 30;
  size_t kept = 0;
  for (Unjudged& each : unjudged_) {
    LockIdentity& lock = locks_[each.key];
    lock.futex = primitive_beside(each.key);
    if (lock.futex != Primitive::unknown) {
      lock.primitive = primitive_name(lock.futex);
      lock.purpose = purpose_of(lock.futex, each.call);
      continue;
    }
    if (each.tries < tries) {
      each.tries++;
      judge(lock, each.call, view_of(lock.pid, lock.address));
    }
    if (lock.futex == Primitive::unknown) {
      unjudged_[kept++] = each;
    }
  }
  unjudged_.resize(kept);
}

void LockNames::learn_futex(LockIdentity& lock, const lock_key& key, const FutexCall& call,
                            const FutexView& view, int32_t pid) {
  lock.kind = Kind::futex;
  lock.pid = pid;
  lock.address = call.address;
  judge(lock, call, view);
  if (lock.futex == Primitive::unknown) {
    unjudged_.push_back({key, call, 0});
  }
  lock.operation = call.kind == FutexCallKind::lock_pi ? "futex_lock_pi" : "futex_wait";
  place_futex(lock, key, call.private_flag);
}

/// Its identifier, and its name where that is one of shared memory.
void LockNames::place_futex(LockIdentity& lock, const lock_key& key, bool is_private) {
  lock.id = fmt::format("futex:{}:0x{:x}", lock.pid, lock.address);
  lock.resolved = true;
  const Mapping* mapping = is_private ? nullptr : mapping_at(lock.pid, lock.address);
  if (mapping == nullptr || !mapping->shared) {
    unnamed_.push_back(key);
    return;
  }
  const uint64_t offset = mapping->offset + (lock.address - mapping->start);
  lock.shared = {mapping->inode, offset};
  const std::string object = object_name(mapping->path, mapping->inode);
  constexpr std::string_view prefix = "/dev/shm/sem.";
  if (offset == 0 && object.starts_with(prefix)) {
    lock.kind = Kind::posixsem;
    lock.name = "/" + object.substr(prefix.size());
    lock.id = "posixsem:" + lock.name;
    return;
  }
  lock.id = fmt::format("futex:{}+0x{:x}", object, offset);
  lock.name = fmt::format("{}+0x{:x}", object, offset);
}

void LockNames::note_owner(const lock_key& key, int32_t waiter_pid, uint32_t owner) {
  const auto found = locks_.find(key);
  if (found != locks_.end() && found->second.futex == Primitive::unknown &&
      thread_of(waiter_pid, owner) != 0) {
    found->second.futex = Primitive::mutex;
    found->second.primitive = primitive_name(Primitive::mutex);
    found->second.purpose = WaitPurpose::lock;
  }
}

const LockIdentity& LockNames::learn_taken(const lock_key& key, Primitive primitive) {
  LockIdentity& lock = locks_[key];
  if (lock.id.empty()) {
    lock.kind = Kind::futex;
    lock.pid = static_cast<int32_t>(key.space);
    lock.address = key.object;
    place_futex(lock, key, false);
  }
  const bool same =
      lock.futex == primitive ||
      (primitive == Primitive::mutex && lock.futex == Primitive::pi_mutex);  // one that tells more
  if (!same) {
    lock.futex = primitive;
    lock.primitive = primitive_name(primitive);
    lock.purpose = primitive == Primitive::condvar ? WaitPurpose::event : WaitPurpose::lock;
  }
  return lock;
}

std::string LockNames::link_of(const lock_value& value) const {
  const Result<std::string> link = proc_.link(fmt::format("{}/fd/{}", value.pid, value.fd).c_str());
  return link ? *link : std::string();
}

/// What the descriptor's link tells; the rest has to wait for a snapshot.
void LockNames::learn_file(LockIdentity& lock, const lock_key& key, const lock_value& value) {
  const std::string link = link_of(value);
  const std::string_view path = without_deleted(link, link.ends_with(deleted_suffix));
  if (key.wait == WAIT_AT_FLOCK || key.wait == WAIT_AT_FCNTL) {
    lock.kind = key.wait == WAIT_AT_FLOCK ? Kind::flock
                : value.operation == 38   ? Kind::ofd  // F_OFD_SETLKW
                                          : Kind::fcntl;
    lock.primitive = kind_name(lock.kind);
    lock.name = path.empty() ? fmt::format("inode#{}", value.inode) : std::string(path);
    lock.id = fmt::format("{}:{}", kind_name(lock.kind), lock.name);
    lock.resolved = true;
    return;
  }
  const uint32_t type = value.mode & S_IFMT;
  if (type == S_IFIFO) {
    const bool named = path.starts_with('/');
    lock.kind = named ? Kind::fifo : Kind::pipe;
    lock.name = named ? std::string(path) : std::string();
    lock.id = named ? fmt::format("fifo:{}", path) : fmt::format("pipe:{}", value.inode);
    lock.resolved = true;
  } else if (type == S_IFCHR) {
    const std::string_view number = between(path, "/dev/pts/", "");
    lock.is_ipc = !number.empty() || path == "/dev/ptmx" || path == "/dev/pts/ptmx";
    lock.kind = Kind::pty;
    lock.id = fmt::format("pty:{}", number);
    lock.name = path;
    lock.resolved = !number.empty() && number != "ptmx";
  } else if (type == S_IFSOCK) {
    lock.kind = Kind::unix_socket;
    lock.id = fmt::format("unix:{}", value.inode);
  } else if (type == S_IFREG) {
    lock.kind = Kind::mq;
    lock.name = path;
    lock.id = fmt::format("mq:{}", path);
  } else {
    const std::string_view kind = between(path, "anon_inode:[", "]");
    lock.kind = kind_from_name(kind.starts_with("event") && kind != "eventfd" ? "epoll" : kind)
                    .value_or(Kind::eventfd);
    lock.id = fmt::format("{}:{}:{}", kind_name(lock.kind), value.pid, value.fd);
  }
  lock.primitive = kind_name(lock.kind);
  if (!lock.resolved && lock.is_ipc) {
    unknown_files_.push_back({key, value});
  }
}

const LockIdentity& LockNames::learn(const lock_news& news, const lock_value& value) {
  LockIdentity& lock = locks_[news.key];
  if (news.key.wait != WAIT_AT_FUTEX) {
    return identity(news.key, value);
  }
  FutexView view;
  const auto* memory = reinterpret_cast<const char*>(news.memory);
  if (news.lower != 0) {
    view.put(-LOCK_MEMORY_BEFORE, {memory, LOCK_MEMORY_BEFORE});
  }
  if (news.upper != 0) {
    view.put(0, {memory + LOCK_MEMORY_BEFORE, LOCK_MEMORY_AFTER});
    FutexCall call = call_of(news.call, value.address, news.args[1], news.args[2]);
    learn_futex(lock, news.key, call, view, static_cast<int32_t>(news.pid));
    return lock;
  }
  return identity(news.key, value);
}

const LockIdentity& LockNames::identity(const lock_key& key, const lock_value& value) {
  LockIdentity& lock = locks_[key];
  if (!lock.id.empty()) {
    return lock;
  }
  const auto pid = static_cast<int32_t>(value.pid);
  lock.pid = pid;
  lock.purpose = static_cast<WaitPurpose>(key.purpose);
  const SystemCall* call = find_system_call(value.call);
  lock.operation = call != nullptr ? call->operation : "";
  switch (key.wait) {
    case WAIT_AT_FUTEX: {
      learn_futex(lock, key, call_of(value.call, value.address, value.operation, value.expected),
                  view_of(pid, value.address), pid);
      break;
    }
    case WAIT_AT_SEM:
    case WAIT_AT_MSG: {
      lock.kind = key.wait == WAIT_AT_SEM ? Kind::sem : Kind::msg;
      lock.primitive = key.wait == WAIT_AT_SEM ? "sem" : "msg";
      const std::optional<unsigned> own = proc_.namespace_id(::getpid(), "ipc");
      lock.id = fmt::format("{}:{}", kind_name(lock.kind), static_cast<int32_t>(key.object));
      if (own && *own != key.space) {
        lock.id += fmt::format("@{}", key.space);
      }
      lock.resolved = true;
      break;
    }
    default:
      learn_file(lock, key, value);
  }
  return lock;
}

void LockNames::look_at_files(bool last_chance) {
  const auto begin = std::chrono::steady_clock::now();
  if (unknown_files_.empty() || (!last_chance && begin < next_look_)) {
    return;
  }
  Request request;
  for (const Kind kind :
       {Kind::unix_socket, Kind::tcp, Kind::udp, Kind::netlink, Kind::packet, Kind::raw,
        Kind::vsock, Kind::mq, Kind::eventfd, Kind::epoll, Kind::signalfd, Kind::timerfd,
        Kind::pidfd, Kind::inotify, Kind::io_uring, Kind::pty, Kind::fifo}) {
    request.kinds.set(static_cast<size_t>(kind));
  }
  const Result<Snapshot> snapshot = take_snapshot(request, proc_);
  if (snapshot) {
    std::unordered_map<uint64_t, ChannelIndex> by_file;
    std::unordered_map<uint32_t, ChannelIndex> by_socket;
    for (const Endpoint& endpoint : snapshot->endpoints) {
      if (endpoint.file != 0) {
        by_file.emplace(endpoint.file, endpoint.channel);
      }
      if (endpoint.inode != 0) {
        by_socket.emplace(endpoint.inode, endpoint.channel);
      }
    }
    std::vector<Unknown> still_unknown;
    for (const Unknown& unknown : unknown_files_) {
      ChannelIndex channel = no_index;
      if (const auto file = by_file.find(unknown.value.file); file != by_file.end()) {
        channel = file->second;
      } else if ((unknown.value.mode & S_IFMT) == S_IFSOCK) {
        const auto socket = by_socket.find(static_cast<uint32_t>(unknown.value.inode));
        channel = socket != by_socket.end() ? socket->second : no_index;
      }
      if (channel == no_index) {
        still_unknown.push_back(unknown);
        continue;
      }
      const Channel& found = snapshot->channels[channel];
      LockIdentity& lock = locks_[unknown.key];
      lock.id = found.id;
      lock.kind = found.kind;
      lock.name = found.name;
      lock.primitive = kind_name(found.kind);
      lock.resolved = true;
    }
    unknown_files_ = std::move(still_unknown);
  }
  const auto end = std::chrono::steady_clock::now();
  next_look_ = end + 20 * (end - begin);
}

void LockNames::name_some() {
  constexpr std::chrono::milliseconds budget{20};
  constexpr size_t most = 1024;  // of thousands of locks nobody reads the names
  const auto end = std::chrono::steady_clock::now() + budget;
  while (!unnamed_.empty() && named_ < most && std::chrono::steady_clock::now() < end) {
    LockIdentity& lock = locks_[unnamed_.back()];
    unnamed_.pop_back();
    lock.name = stacks_.name_of_address(lock.pid, lock.address);
    named_++;
  }
}

}  // namespace ipcscope
