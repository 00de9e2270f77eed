// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/waits.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <ctime>

#include "bpf/shmem.h"
#include "collectors/base/parse.h"
#include "collectors/descriptor_ends.h"
#include "collectors/futex.h"
#include "collectors/name_spaces.h"
#include "collectors/syscalls.h"
#include "collectors/target_memory.h"
#include "collectors/waits_paths.h"

// Newer than the headers of Debian 12 (Linux 5.16 and 5.14 include/uapi/linux/futex.h).
#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13
#endif

namespace ipcscope {

namespace {

constexpr int64_t second = 1'000'000'000;
constexpr size_t most_descriptors = 65536;  // of one poll() or select()
constexpr uint32_t most_futexes = 128;      // FUTEX_WAITV_MAX
constexpr uint64_t futex2_private = 128;    // FUTEX2_PRIVATE
constexpr int pidfd_type = 3;               // P_PIDFD

/// struct futex_waitv, Linux 5.16 include/uapi/linux/futex.h
struct FutexVectorItem {
  uint64_t value;
  uint64_t address;
  uint32_t flags;
  uint32_t reserved;
};

/// A blocked thread while memory is being read.
struct Pending {
  ThreadIndex thread = no_index;
  const SystemCall* call = nullptr;  ///< null: one that is not known
  const char* operation = "";
  TargetMemory::Handle limit = TargetMemory::none;
  TargetMemory::Handle array[3] = {TargetMemory::none, TargetMemory::none, TargetMemory::none};
  uint32_t first = 0, count = 0;  ///< into watches_ or futexes_of_
};

/// A descriptor among those that a thread watches.
struct Watch {
  uint32_t descriptor;  ///< as DescriptorEnds numbers it
  bool to_write;
};

int as_int(uint64_t argument) { return static_cast<int>(static_cast<uint32_t>(argument)); }

int64_t now(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return time.tv_sec * second + time.tv_nsec;
}

/// A 32-bit program on a 64-bit kernel: its numbers and structures are others. No 64-bit program
/// has its stack that low.
bool is_compat(const Thread& thread) {
  return sizeof(void*) == 8 && thread.stack >> 32 == 0 && thread.instruction >> 32 == 0;
}

/// What a system call without a name of its own for it is: pause() is one that polls nothing for
/// ever, and vfork() a clone, where newer architectures lack these calls.
const char* operation_of(const Thread& thread, const SystemCall& call) {
  if (call.blocking == Blocking::poll && thread.args[1] == 0) {
    const bool for_ever =
        call.limit == TimeLimit::milliseconds ? as_int(thread.args[2]) < 0 : thread.args[2] == 0;
    return for_ever ? "sigwait" : call.operation;
  }
  const bool is_vfork = thread.syscall == SYS_clone && (thread.args[0] & CLONE_VFORK) != 0;
  return is_vfork ? "vfork" : call.operation;
}

class WaitDecoder {
 public:
  WaitDecoder(SharedMappings& mappings, Assembly& assembly)
      : assembly_(assembly),
        builder_(assembly.builder),
        memory_(is_live(assembly.proc)),
        futexes_(mappings, memory_, assembly),
        numbers_(assembly),
        paths_(memory_, assembly) {}

  void run();

 private:
  void begin(ThreadIndex thread);
  void begin_futex(Pending& pending, const Thread& thread);
  void begin_futex_vector(Pending& pending, const Thread& thread);
  void add_futex(Pending& pending, const FutexCall& call);
  void watch(Pending& pending, const Thread& thread, int fd, bool to_write);
  void watch_polled(Pending& pending);
  void watch_selected(Pending& pending);
  void end(const Pending& pending);
  void end_child(Wait wait, const Thread& thread, const Pending& pending);
  void end_watched(Wait wait, const Pending& pending);
  ChannelIndex lock(const Thread& thread);
  ChannelIndex system_v(const Thread& thread, const char* kind);
  ChannelIndex addressed(const Thread& thread, Blocking blocking);
  [[nodiscard]] std::optional<uint64_t> limit(const Pending& pending) const;
  [[nodiscard]] std::optional<uint64_t> deadline(const Thread& thread, int64_t time,
                                                 clockid_t clock) const;
  void cover();

  Assembly& assembly_;
  SnapshotBuilder& builder_;
  TargetMemory memory_;
  Futexes futexes_;
  ThreadNumbers numbers_;
  WaitPaths paths_;
  DescriptorEnds descriptors_;
  std::vector<Pending> pending_;
  std::vector<Watch> watches_;
  std::vector<Futexes::Index> futexes_of_;
  uint64_t compat_ = 0;
  const int64_t realtime_ = now(CLOCK_REALTIME), monotonic_ = now(CLOCK_MONOTONIC);
};

void WaitDecoder::watch(Pending& pending, const Thread& thread, int fd, bool to_write) {
  if (fd >= 0) {
    if (pending.count++ == 0) {
      pending.first = static_cast<uint32_t>(watches_.size());
    }
    watches_.push_back({descriptors_.watch(thread.process, fd), to_write});
  }
}

void WaitDecoder::add_futex(Pending& pending, const FutexCall& call) {
  const Futexes::Index futex = futexes_.add(pending.thread, call);
  if (futex != no_index) {
    if (pending.count++ == 0) {
      pending.first = static_cast<uint32_t>(futexes_of_.size());
    }
    futexes_of_.push_back(futex);
  }
}

void WaitDecoder::begin_futex(Pending& pending, const Thread& thread) {
  FutexCall call;
  call.address = thread.args[0];
  if (pending.call->blocking == Blocking::futex2) {
    // futex_wait(uaddr, val, mask, flags, timeout, clockid), Linux 6.7.
    call.kind = FutexCallKind::wait_bitset;
    call.expected = static_cast<uint32_t>(thread.args[1]);
    call.private_flag = (thread.args[3] & futex2_private) != 0;
    add_futex(pending, call);
    return;
  }
  const int operation = as_int(thread.args[1]);
  call.private_flag = (operation & FUTEX_PRIVATE_FLAG) != 0;
  call.realtime = (operation & FUTEX_CLOCK_REALTIME) != 0;
  call.expected = static_cast<uint32_t>(thread.args[2]);
  switch (operation & FUTEX_CMD_MASK) {
    case FUTEX_WAIT:
      call.kind = FutexCallKind::wait;
      break;
    case FUTEX_WAIT_BITSET:
      call.kind = FutexCallKind::wait_bitset;
      break;
    case FUTEX_LOCK_PI:
    case FUTEX_LOCK_PI2:
      call.kind = FutexCallKind::lock_pi;
      pending.operation = "futex_lock_pi";
      break;
    case FUTEX_WAIT_REQUEUE_PI:
      call.kind = FutexCallKind::wait_requeue_pi;
      pending.operation = "futex_wait_requeue_pi";
      break;
    default:  // the others sleep on locks of the kernel only
      pending.operation = "futex";
      return;
  }
  add_futex(pending, call);
}

void WaitDecoder::begin_futex_vector(Pending& pending, const Thread& thread) {
  const uint32_t count = std::min<uint32_t>(static_cast<uint32_t>(thread.args[1]), most_futexes);
  std::vector<FutexVectorItem> items(count);
  if (count == 0 ||
      !memory_.read(thread.tid, thread.args[0], items.data(), count * sizeof items.front())) {
    return;
  }
  for (const FutexVectorItem& item : items) {
    FutexCall call;
    call.kind = FutexCallKind::wait_bitset;
    call.address = item.address;
    call.expected = static_cast<uint32_t>(item.value);
    call.private_flag = (item.flags & futex2_private) != 0;
    add_futex(pending, call);
  }
}

/// Notes what a blocked thread waits for, and asks for the memory that tells more.
void WaitDecoder::begin(ThreadIndex index) {
  const Thread& thread = builder_.snapshot().threads[index];
  if ((thread.state != 'S' && thread.state != 'D') || thread.syscall < 0 ||
      (thread.stack == 0 && thread.instruction == 0)) {  // workers of io_uring have none
    return;
  }
  Pending pending;
  pending.thread = index;
  pending.operation = "unknown";
  pending.call = is_compat(thread) ? nullptr : find_system_call(thread.syscall);
  compat_ += is_compat(thread) ? 1 : 0;
  if (pending.call == nullptr) {
    pending_.push_back(pending);
    return;
  }
  const SystemCall& call = *pending.call;
  pending.operation = operation_of(thread, call);
  const auto argument = [&](int number) { return thread.args[static_cast<size_t>(number)]; };
  const auto ask = [&](uint64_t address, size_t size) {
    return memory_.add(thread.process, thread.tid, address, size);
  };
  if (call.limit != TimeLimit::none && call.limit != TimeLimit::milliseconds) {
    pending.limit = ask(argument(call.limit_argument), sizeof(timespec));
  }
  switch (call.blocking) {
    case Blocking::fd_read:
      watch(pending, thread, as_int(argument(0)), false);
      break;
    case Blocking::fd_write:
    case Blocking::send_file:
    case Blocking::connect:
    case Blocking::send_to:
    case Blocking::send_message:
      watch(pending, thread, as_int(argument(0)), true);
      break;
    case Blocking::transfer:
      watch(pending, thread, as_int(argument(0)), false);
      // splice(in, offset, out, ...), tee(in, out, ...)
      watch(pending, thread, as_int(argument(std::string_view(call.operation) == "tee" ? 1 : 2)),
            true);
      break;
    case Blocking::poll:
      pending.array[0] =
          ask(argument(0), std::min<uint64_t>(argument(1), most_descriptors) * sizeof(pollfd));
      break;
    case Blocking::select: {
      const int count = as_int(argument(0));
      const size_t words =
          std::min((static_cast<size_t>(std::max(count, 0)) + 63) / 64, most_descriptors / 64);
      for (int i = 0; i < 3; i++) {
        pending.array[i] = ask(argument(1 + i), words * 8);
      }
      break;
    }
    case Blocking::new_process:
      pending.array[0] = ask(argument(0), sizeof(uint64_t));  // clone_args.flags
      break;
    case Blocking::waitid:
      if (as_int(argument(0)) == pidfd_type) {
        watch(pending, thread, as_int(argument(1)), false);
      }
      break;
    case Blocking::futex:
    case Blocking::futex2:
      begin_futex(pending, thread);
      break;
    case Blocking::futex_vector:
      begin_futex_vector(pending, thread);
      break;
    default:
      break;
  }
  pending_.push_back(pending);
}

void WaitDecoder::watch_polled(Pending& pending) {
  const Thread& thread = builder_.snapshot().threads[pending.thread];
  const std::string_view bytes = memory_.bytes(pending.array[0]);
  for (size_t at = 0; at + sizeof(pollfd) <= bytes.size(); at += sizeof(pollfd)) {
    pollfd item{};
    std::memcpy(&item, bytes.data() + at, sizeof item);
    watch(pending, thread, item.fd, (item.events & (POLLIN | POLLPRI | POLLRDHUP)) == 0);
  }
}

void WaitDecoder::watch_selected(Pending& pending) {
  const Thread& thread = builder_.snapshot().threads[pending.thread];
  const int count = as_int(thread.args[0]);
  for (int set = 0; set < 3; set++) {
    const std::string_view bytes = memory_.bytes(pending.array[set]);
    for (int fd = 0; fd < count && static_cast<size_t>(fd) / 8 < bytes.size(); fd++) {
      if ((static_cast<unsigned char>(bytes[static_cast<size_t>(fd) / 8]) >> (fd % 8) & 1) != 0) {
        watch(pending, thread, fd, set == 1);
      }
    }
  }
}

/// A point in time as the caller's whole wait: what is left and what has already passed.
std::optional<uint64_t> WaitDecoder::deadline(const Thread& thread, int64_t time,
                                              clockid_t clock) const {
  int64_t here = 0;
  switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_ALARM:
    case CLOCK_TAI:
      here = realtime_;
      break;
    case CLOCK_MONOTONIC:
      here = monotonic_;
      break;
    default:
      here = now(CLOCK_BOOTTIME);
  }
  const int64_t left = std::max<int64_t>(time - here, 0);
  return static_cast<uint64_t>(left) + thread.blocked_ns.value_or(0);
}

std::optional<uint64_t> WaitDecoder::limit(const Pending& pending) const {
  const Thread& thread = builder_.snapshot().threads[pending.thread];
  const SystemCall& call = *pending.call;
  const uint64_t argument = thread.args[static_cast<size_t>(call.limit_argument)];
  if (call.limit == TimeLimit::milliseconds) {
    const int milliseconds = as_int(argument);
    return milliseconds < 0 ? std::nullopt
                            : std::optional(static_cast<uint64_t>(milliseconds) * 1'000'000);
  }
  const auto given = memory_.value<timespec>(pending.limit);
  // What is there may have been overwritten since the call; a fraction is no larger than this.
  if (!given || given->tv_sec < 0 || given->tv_nsec < 0 || given->tv_nsec > second) {
    return std::nullopt;
  }
  // A limit of centuries means for ever, and must not overflow.
  const int64_t seconds = std::min<int64_t>(given->tv_sec, INT64_MAX / second - 1);
  const int64_t time = seconds * second + given->tv_nsec;
  switch (call.limit) {
    case TimeLimit::timespec:
      return static_cast<uint64_t>(time);
    case TimeLimit::timeval:
      return static_cast<uint64_t>(seconds * second + given->tv_nsec * 1000);
    case TimeLimit::deadline:
      return deadline(thread, time, CLOCK_REALTIME);
    case TimeLimit::clock_nanosleep:
      return (thread.args[1] & TIMER_ABSTIME) != 0 ? deadline(thread, time, as_int(thread.args[0]))
                                                   : std::optional(static_cast<uint64_t>(time));
    case TimeLimit::futex2:
      return deadline(thread, time,
                      as_int(thread.args[static_cast<size_t>(call.limit_argument) + 1]));
    case TimeLimit::futex: {
      // FUTEX_WAIT takes a duration, the others a point in time (futex(2)).
      const int operation = as_int(thread.args[1]);
      const bool realtime = (operation & FUTEX_CLOCK_REALTIME) != 0;
      switch (operation & FUTEX_CMD_MASK) {
        case FUTEX_WAIT:
          return static_cast<uint64_t>(time);
        case FUTEX_LOCK_PI:
          return deadline(thread, time, CLOCK_REALTIME);
        default:
          return deadline(thread, time, realtime ? CLOCK_REALTIME : CLOCK_MONOTONIC);
      }
    }
    default:
      return std::nullopt;
  }
}

/// POSIX and open file description locks exclude each other: a thread that asks for one may wait
/// for the other.
ChannelIndex WaitDecoder::lock(const Thread& thread) {
  const int fd = as_int(thread.args[0]);
  if (thread.syscall == SYS_flock) {
    return paths_.lock(thread, fd, Kind::flock);
  }
  const bool by_file = as_int(thread.args[1]) == F_OFD_SETLKW;
  const ChannelIndex same = paths_.lock(thread, fd, by_file ? Kind::ofd : Kind::fcntl);
  return same != no_index ? same : paths_.lock(thread, fd, by_file ? Kind::fcntl : Kind::ofd);
}

ChannelIndex WaitDecoder::system_v(const Thread& thread, const char* kind) {
  const uint32_t name_space =
      Assembly::foreign(assembly_.process_at(thread.process).ipc_ns, assembly_.own_ipc_ns);
  const int id = as_int(thread.args[0]);
  return builder_.find_channel(name_space == 0 ? fmt::format("{}:{}", kind, id)
                                               : fmt::format("{}:{}@{}", kind, id, name_space));
}

/// Where a UNIX socket is told whom to reach; the own end is the channel of all others.
ChannelIndex WaitDecoder::addressed(const Thread& thread, Blocking blocking) {
  switch (blocking) {
    case Blocking::connect:
      return paths_.unix_address(thread, thread.args[1], thread.args[2]);
    case Blocking::send_to:
      return paths_.unix_address(thread, thread.args[4], thread.args[5]);
    case Blocking::send_message: {
      msghdr message{};
      return memory_.read(thread.tid, thread.args[1], &message, sizeof message)
                 ? paths_.unix_address(thread, reinterpret_cast<uint64_t>(message.msg_name),
                                       message.msg_namelen)
                 : no_index;
    }
    default:
      return no_index;
  }
}

/// target: a process whose end is waited for, 0 when it may be any of several.
void WaitDecoder::end_child(Wait wait, const Thread& thread, const Pending& pending) {
  int64_t number = 0;
  if (pending.call->blocking == Blocking::wait4) {
    number = as_int(thread.args[0]);
  } else if (as_int(thread.args[0]) == P_PID) {
    number = as_int(thread.args[1]);
  } else if (pending.count != 0) {
    wait.channel = descriptors_.end(watches_[pending.first].descriptor, false).channel;
    if (wait.channel != no_index) {
      std::string_view id = builder_.channel(wait.channel).id;  // pidfd:PID
      id.remove_prefix(std::min(id.find(':') + 1, id.size()));
      wait.target = parse_number<int32_t>(id).value_or(0);
    }
  }
  if (number > 0) {
    const ThreadIndex child =
        numbers_.find(assembly_.process_at(thread.process).pid_ns, static_cast<uint64_t>(number));
    if (child != no_index) {
      wait.target = builder_.snapshot().threads[child].tid;
    }
  }
  builder_.add_wait(wait);
}

/// One wait for each channel among what is watched; one without a channel when none of it is one.
void WaitDecoder::end_watched(Wait wait, const Pending& pending) {
  const Thread& thread = builder_.snapshot().threads[wait.thread];
  std::span<const Watch> watched(watches_.data() + pending.first, pending.count);
  if (pending.call->blocking == Blocking::transfer && watched.size() == 2) {
    // Either side can be what is waited for; how full the pipe at the input is tells which.
    const ChannelIndex in = descriptors_.end(watched[0].descriptor, false).channel;
    if (in != no_index &&
        (builder_.channel(in).kind == Kind::pipe || builder_.channel(in).kind == Kind::fifo)) {
      if (const std::optional<uint64_t> depth = builder_.channel(in).depth_bytes) {
        watched = *depth == 0 ? watched.first(1) : watched.last(1);
      }
    }
  }
  const ChannelIndex address = addressed(thread, pending.call->blocking);
  bool found = false;
  DescriptorEnds::End last;
  for (const Watch& each : watched) {
    const DescriptorEnds::End& end = descriptors_.end(each.descriptor, each.to_write);
    wait.channel = address != no_index ? address : end.channel;
    wait.inode = end.inode;
    if (wait.channel == no_index ||
        (found && end.channel == last.channel && end.inode == last.inode)) {
      continue;
    }
    builder_.add_wait(wait);
    found = true;
    last = end;
  }
  if (!found) {
    wait.channel = no_index;
    wait.inode = 0;
    builder_.add_wait(wait);
  }
}

void WaitDecoder::end(const Pending& pending) {
  Wait wait;
  wait.thread = pending.thread;
  wait.operation = pending.operation;
  if (pending.call == nullptr) {
    builder_.add_wait(wait);
    return;
  }
  const Thread& thread = builder_.snapshot().threads[pending.thread];
  wait.timeout_ns = pending.call->limit == TimeLimit::none ? std::nullopt : limit(pending);
  switch (pending.call->blocking) {
    case Blocking::other:
      break;
    case Blocking::new_process:
      if ((memory_.value<uint64_t>(pending.array[0]).value_or(0) & CLONE_VFORK) != 0) {
        wait.operation = "vfork";
      }
      break;
    case Blocking::semaphore_set:
      wait.channel = system_v(thread, "sem");
      break;
    case Blocking::message_queue:
      wait.channel = system_v(thread, "msg");
      break;
    case Blocking::flock:
      wait.channel = lock(thread);
      break;
    case Blocking::fcntl:
      if (const int command = as_int(thread.args[1]);
          command == F_SETLKW || command == F_OFD_SETLKW) {
        wait.operation = "fcntl_lock";
        wait.channel = lock(thread);
      }
      break;
    case Blocking::open:
      wait.channel = paths_.open(pending.thread, pending.call->argument,
                                 std::string_view(pending.operation) == "open");
      break;
    case Blocking::wait4:
    case Blocking::waitid:
      end_child(wait, thread, pending);
      return;
    case Blocking::futex:
    case Blocking::futex2:
    case Blocking::futex_vector:
      for (uint32_t i = 0; i < pending.count; i++) {
        const Futexes::Index futex = futexes_of_[pending.first + i];
        wait.channel = futexes_.channel(futex);
        wait.target = futexes_.joined(futex);
        builder_.add_wait(wait);
      }
      if (pending.count != 0) {
        return;
      }
      break;
    default:
      end_watched(wait, pending);
      return;
  }
  builder_.add_wait(wait);
}

void WaitDecoder::cover() {
  if (memory_.refused() != 0) {
    assembly_.cover(
        {"process-memory", Coverage::State::partial, memory_.asked(), memory_.refused(), 0,
         "memory of other users' processes may not be read",
         "owners of locks, polled descriptors and time limits are unknown there: run as "
         "root, or with CAP_SYS_PTRACE"});
  }
  if (compat_ != 0) {
    assembly_.cover({"compat-system-calls", Coverage::State::partial, pending_.size(), compat_, 0,
                     "system calls of 32-bit programs are not decoded", ""});
  }
}

void WaitDecoder::run() {
  const size_t threads = builder_.snapshot().threads.size();
  for (ThreadIndex i = 0; i < threads; i++) {
    begin(i);
  }
  memory_.run();
  for (Pending& pending : pending_) {
    if (pending.call != nullptr && pending.call->blocking == Blocking::poll) {
      watch_polled(pending);
    } else if (pending.call != nullptr && pending.call->blocking == Blocking::select) {
      watch_selected(pending);
    }
  }
  descriptors_.resolve(builder_.snapshot());
  futexes_.make_channels();
  for (const Pending& pending : pending_) {
    end(pending);
  }
  cover();
}

class Waits final : public Mechanism {
 public:
  void take(const record& fact, Assembly& /*assembly*/) override {
    mappings_.add(reinterpret_cast<const mapping_record&>(fact));
  }
  void finish(Assembly& assembly) override { WaitDecoder(mappings_, assembly).run(); }

 private:
  SharedMappings mappings_;
};

constexpr Kind kinds[] = {Kind::futex};
constexpr record_kind records[] = {RECORD_MAPPING};

}  // namespace

const MechanismEntry waits_mechanism = {"waits", kinds, records,
                                        [] { return std::unique_ptr<Mechanism>(new Waits); }};

}  // namespace ipcscope
