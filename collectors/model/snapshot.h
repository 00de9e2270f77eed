// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "collectors/base/arena.h"
#include "collectors/base/count.h"

namespace ipcscope {

/// Indexes into the vectors of a Snapshot.
using ProcessIndex = uint32_t;
using ThreadIndex = uint32_t;
using ChannelIndex = uint32_t;
constexpr uint32_t no_index = UINT32_MAX;

/// The order is that of `ls`. The names are in kind_name().
enum class Kind : uint8_t {
  pipe,
  fifo,
  unix_socket,
  tcp,
  udp,
  netlink,
  packet,
  raw,
  vsock,
  shm,
  sem,
  msg,
  posixshm,
  posixsem,
  mq,
  memfd,
  mmap,
  futex,
  flock,
  fcntl,
  ofd,
  lease,
  eventfd,
  epoll,
  signalfd,
  timerfd,
  pidfd,
  inotify,
  io_uring,
  pty,
  count,
};
constexpr size_t kind_count = static_cast<size_t>(Kind::count);

/// The word of `ls KIND`, of the channel id and of JSON.
std::string_view kind_name(Kind kind);
std::optional<Kind> kind_from_name(std::string_view name);

enum class Role : uint8_t {
  reader,
  writer,
  peer,
  listener,
  attached,
  owner,
  waiter,
  opener,
  master,
  slave,
};
std::string_view role_name(Role role);

/// Access of an endpoint: bits, printed "r", "w", "rw"; 0 when it means nothing here.
enum Access : uint8_t { access_none = 0, access_read = 1, access_write = 2 };

/// One fact of a channel that only its kind has.
struct Attribute {
  enum class Type : uint8_t { unknown, boolean, integer, natural, text, json };
  const char* key = nullptr;  ///< a literal
  union {
    bool boolean;
    int64_t integer;
    uint64_t natural;
    const char* text;  ///< in the snapshot's arena; for json: valid JSON
  };
  uint32_t text_size = 0;
  Type type = Type::unknown;
  Attribute() : natural(0) {}
  [[nodiscard]] std::string_view string() const { return {text, text_size}; }
};

/// One kernel object that carries data or order between threads.
struct Channel {
  std::string_view id;    ///< "pipe:4455"; raw bytes, to be escaped when printed
  std::string_view name;  ///< path or name; empty when it has none; raw bytes
  Kind kind = Kind::pipe;
  uint32_t name_space = 0;      ///< inode number of its namespace, 0 when it is our own
  Maybe<uint32_t> uid;          ///< owner
  Maybe<uint16_t> permissions;  ///< permission bits
  Maybe<uint64_t> depth_bytes;  ///< what is queued
  Maybe<uint64_t> depth_messages;
  Maybe<uint64_t> capacity_bytes;  ///< how much can be queued
  Maybe<uint64_t> capacity_messages;
  uint32_t first_endpoint = 0, endpoint_count = 0;    ///< into Snapshot::endpoints
  uint32_t first_attribute = 0, attribute_count = 0;  ///< into Snapshot::attributes
  uint32_t first_wait = 0, wait_count = 0;            ///< into Snapshot::channel_waits
};

/// One process (or thread) at a channel.
struct Endpoint {
  ChannelIndex channel = no_index;
  ProcessIndex process = no_index;  ///< no_index: nobody that could be seen has it
  ThreadIndex thread = no_index;    ///< when it is one thread of it
  int32_t fd = -1;
  Role role = Role::opener;
  uint8_t access = access_none;
  uint32_t inode = 0;  ///< of a socket: which end of the channel; 0 elsewhere
  uint64_t file = 0;   ///< identity of the open file description; 0 when it has none
};

struct Process {
  int32_t pid = 0;
  int32_t ppid = 0;
  int32_t ns_pid = 0;  ///< in its own PID namespace, equal to pid when that is ours
  uint32_t uid = 0;
  uint64_t start_ns = 0;  ///< on the boot time clock
  uint64_t mm = 0;        ///< identity of the address space, 0 for a kernel thread
  uint32_t pid_ns = 0, ipc_ns = 0, net_ns = 0, mnt_ns = 0;  ///< inode numbers; 0 unknown
  uint32_t first_thread = 0, thread_count = 0;              ///< into Snapshot::threads
  std::optional<uint32_t> fd_count;  ///< open descriptors; nothing when they could not be seen
  char comm[16] = {};                ///< raw bytes, NUL-terminated unless all 16 are used
  [[nodiscard]] std::string_view command() const;
};

struct Thread {
  ProcessIndex process = no_index;
  int32_t tid = 0;
  int32_t ns_tid = 0;
  char state = '?';       ///< the letter of /proc/PID/stat
  int64_t syscall = -1;   ///< number of the system call that it is in; -1 none; -2 unknown
  uint64_t args[6] = {};  ///< valid when syscall >= 0
  uint64_t stack = 0;     ///< user stack pointer
  uint64_t instruction = 0;
  std::optional<uint64_t> blocked_ns;       ///< off the CPU for at least this long
  std::optional<uint64_t> last_run_ns;      ///< began its last run this long ago
  std::optional<uint64_t> switches;         ///< context switches so far
  uint32_t first_wait = 0, wait_count = 0;  ///< into Snapshot::waits
  int32_t tracer = 0;                       ///< pid of its ptracer, 0 when none
  char comm[16] = {};
  [[nodiscard]] std::string_view command() const;
};

/// One thread blocked in one operation on one channel. A poll on n channels is n waits with the
/// same thread, all alternatives of each other.
struct Wait {
  ThreadIndex thread = no_index;
  ChannelIndex channel = no_index;     ///< no_index: a child, a timer, a signal ... or not resolved
  const char* operation = "";          ///< "read", "futex_wait", ...
  std::optional<uint64_t> timeout_ns;  ///< given by the caller; nothing when it waits for ever
  uint32_t inode = 0;                  ///< of a socket: the end it waits at
  int32_t target = 0;                  ///< pid or tid it waits for, where the operation has one
};

/// A channel that an epoll instance watches.
struct Watched {
  ChannelIndex epoll = no_index;
  ChannelIndex channel = no_index;  ///< no_index: not a channel, or not resolved
  uint32_t inode = 0;               ///< of a socket: the end that is watched
  bool to_write = false;            ///< it is watched for room only
  bool edge = false;                ///< for input, and told once each time some arrives
};

/// A process that can reach the memory of a shared futex.
struct Reach {
  ChannelIndex channel = no_index;
  ProcessIndex process = no_index;
};

/// What a source could and could not read.
struct Coverage {
  enum class State : uint8_t { full, partial, unavailable };
  std::string source;  ///< "bpf-iter-task", "proc-fd", "sysvipc", ...
  State state = State::full;
  uint64_t checked = 0;
  uint64_t unreadable = 0;
  uint64_t lost = 0;
  std::string reason;  ///< empty: none
  std::string hint;    ///< what to do about it
};

/// Everything that was seen of the host at one time. Filled by a SnapshotBuilder, then constant.
struct Snapshot {
  std::string host;
  std::string kernel;
  int64_t time_ns = 0;  ///< CLOCK_REALTIME
  int64_t boot_ns = 0;  ///< CLOCK_BOOTTIME
  std::vector<Coverage> coverage;
  std::vector<Process> processes;       ///< by pid
  std::vector<Thread> threads;          ///< by process, the group leader first
  std::vector<Channel> channels;        ///< by kind
  std::vector<Endpoint> endpoints;      ///< by channel
  std::vector<Attribute> attributes;    ///< each channel's together, in their documented order
  std::vector<Wait> waits;              ///< by thread
  std::vector<uint32_t> channel_waits;  ///< indexes into waits, by channel
  std::vector<Watched> watched;         ///< by epoll; only where the request wants relations
  std::vector<Reach> reach;             ///< by channel; likewise
  Arena arena;

  [[nodiscard]] std::span<const Endpoint> endpoints_of(const Channel& channel) const;
  [[nodiscard]] std::span<const Attribute> attributes_of(const Channel& channel) const;
  [[nodiscard]] std::span<const uint32_t> waits_at(const Channel& channel) const;
  [[nodiscard]] std::span<const Wait> waits_of(const Thread& thread) const;
  [[nodiscard]] std::span<const Thread> threads_of(const Process& process) const;
  /// It runs nothing more, and only waits to be collected.
  [[nodiscard]] bool has_ended(const Process& process) const;
  /// Nothing when the channel has no such attribute.
  [[nodiscard]] const Attribute* attribute(const Channel& channel, std::string_view key) const;
  /// Nothing when no such process was seen.
  [[nodiscard]] const Process* process(int pid) const;
  [[nodiscard]] const Thread* thread(int tid) const;
};

}  // namespace ipcscope
