// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/trace/decoder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cstring>
#include <iterator>

#include "collectors/model/snapshot.h"

namespace ipcscope {

namespace {

static_assert(TRACE_PIPE == static_cast<int>(Kind::pipe) &&
              TRACE_SEM == static_cast<int>(Kind::sem) &&
              TRACE_FUTEX == static_cast<int>(Kind::futex) &&
              TRACE_PTY == static_cast<int>(Kind::pty) &&
              TRACE_CHANNEL_KINDS == static_cast<int>(Kind::count));

constexpr uint64_t lowest_code = 4096;
constexpr uint64_t highest_code = uint64_t{1} << 56;

constexpr std::string_view other_words[] = {"signal", "fd", "splice", "poll"};
static_assert(std::size(other_words) == TRACE_WORDS - TRACE_CHANNEL_KINDS);

uint8_t kind_of_key(uint64_t key) { return static_cast<uint8_t>((key >> 56) - 1); }
constexpr uint32_t futex_waitv = 449;  // newer than the headers of Debian 12

uint64_t number_of_key(uint64_t key) { return key & 0xffffffffffffff; }

/// Addresses are the same in many processes.
uint64_t futex_key(uint64_t key, int32_t pid) {
  return (key + static_cast<uint32_t>(pid) * 0x9e3779b97f4a7c15ULL) | 1;
}

bool is_private_futex(uint32_t call, uint64_t detail) {
  return call != futex_waitv && (detail & 128) != 0;
}

/// What one end and the other call a connection: addresses and ports, and the namespace.
std::string inet_text(const trace_inet& inet, bool reversed) {
  std::string text;
  const auto append = [&](const u8(&address)[16], uint16_t port) {
    text.append(reinterpret_cast<const char*>(address), 16);
    text.append(reinterpret_cast<const char*>(&port), 2);
  };
  if (reversed) {
    append(inet.remote, inet.remote_port);
    append(inet.local, inet.local_port);
  } else {
    append(inet.local, inet.local_port);
    append(inet.remote, inet.remote_port);
  }
  text.append(reinterpret_cast<const char*>(&inet.net_ns), 4);
  return text;
}

const char* signal_word(int number, std::string& buffer) {
  const char* name = ::sigabbrev_np(number);
  buffer = name != nullptr                ? fmt::format("SIG{}", name)
           : number >= 34 && number <= 64 ? fmt::format("SIGRTMIN+{}", number - 34)
                                          : fmt::format("signal {}", number);
  return buffer.c_str();
}

const char* ring_operation(uint64_t opcode) {
  // include/uapi/linux/io_uring.h, which never changes a number.
  static constexpr const char* names[] = {"nop",
                                          "readv",
                                          "writev",
                                          "fsync",
                                          "read_fixed",
                                          "write_fixed",
                                          "poll_add",
                                          "poll_remove",
                                          "sync_range",
                                          "sendmsg",
                                          "recvmsg",
                                          "timeout",
                                          "timeout_remove",
                                          "accept",
                                          "cancel",
                                          "link_timeout",
                                          "connect",
                                          "fallocate",
                                          "openat",
                                          "close",
                                          "files_update",
                                          "statx",
                                          "read",
                                          "write",
                                          "fadvise",
                                          "madvise",
                                          "send",
                                          "recv",
                                          "openat2",
                                          "epoll_ctl",
                                          "splice",
                                          "provide_buffers",
                                          "remove_buffers",
                                          "tee",
                                          "shutdown"};
  return opcode < std::size(names) ? names[opcode] : nullptr;
}

const char* control_command(uint64_t command) {
  switch (command & 0xff) {
    case IPC_RMID:
      return "IPC_RMID";
    case IPC_SET:
      return "IPC_SET";
    case IPC_STAT:
      return "IPC_STAT";
    case IPC_INFO:
      return "IPC_INFO";
    case 12:
      return "GETVAL";
    case 13:
      return "GETALL";
    case 16:
      return "SETVAL";
    case 17:
      return "SETALL";
    default:
      return nullptr;
  }
}

const char* lock_type(uint64_t type) {
  return type == F_RDLCK ? "read" : type == F_WRLCK ? "write" : "unlock";
}

}  // namespace

std::string_view trace_word(uint8_t kind) {
  return kind < TRACE_CHANNEL_KINDS ? kind_name(static_cast<Kind>(kind))
         : kind < TRACE_WORDS       ? other_words[kind - TRACE_CHANNEL_KINDS]
                                    : std::string_view();
}

std::optional<uint8_t> trace_kind_from_word(std::string_view word) {
  for (uint8_t kind = 0; kind < TRACE_WORDS; kind++) {
    if (trace_word(kind) == word) {
      return kind;
    }
  }
  return std::nullopt;
}

bool TraceDecoder::take(std::span<const std::byte> record, TraceSink& sink) {
  uint16_t kind = 0;
  if (record.size() < sizeof kind) {
    return false;
  }
  std::memcpy(&kind, record.data(), sizeof kind);
  switch (kind) {
    case TRACE_EVENT: {
      trace_event_record event;
      if (record.size() < sizeof event) {
        return false;
      }
      std::memcpy(&event, record.data(), sizeof event);
      return take_event(event, record.subspan(sizeof event), sink);
    }
    case TRACE_CHANNEL: {
      trace_channel_record channel;
      if (record.size() != sizeof channel) {
        return false;
      }
      std::memcpy(&channel, record.data(), sizeof channel);
      take_channel(channel);
      return true;
    }
    case TRACE_THREAD: {
      trace_thread_record thread;
      if (record.size() != sizeof thread) {
        return false;
      }
      std::memcpy(&thread, record.data(), sizeof thread);
      take_thread(thread);
      return true;
    }
    case TRACE_LOST: {
      trace_lost_record lost;
      if (record.size() != sizeof lost) {
        return false;
      }
      std::memcpy(&lost, record.data(), sizeof lost);
      take_lost(lost, sink);
      return true;
    }
    default:
      return false;
  }
}

void TraceDecoder::take_lost(const trace_lost_record& record, TraceSink& sink) {
  const size_t word = record.word <= TRACE_WORDS ? record.word : 0;
  // Records of two CPUs may come in another order than they were made in.
  if (record.lost > lost_of_[word]) {
    const uint64_t more = record.lost - lost_of_[word];
    lost_of_[word] = record.lost;
    lost_ += more;
    sink.lost(word > 0 ? static_cast<uint8_t>(word - 1) : static_cast<uint8_t>(TRACE_NO_KIND),
              more);
  }
}

trace_lost_record lost_record(uint8_t kind, uint64_t lost) {
  trace_lost_record record{};
  record.kind = TRACE_LOST;
  record.word = static_cast<uint16_t>(kind == TRACE_NO_KIND ? 0 : kind + 1);
  record.lost = lost;
  return record;
}

void TraceDecoder::take_thread(const trace_thread_record& record) {
  bool is_new = false;
  uint32_t& index = thread_of_.slot(uint64_t{record.tid} + 1, is_new);
  index = static_cast<uint32_t>(threads_.size());
  Thread& thread = threads_.emplace_back();
  thread.pid = static_cast<int32_t>(record.own_pid);
  thread.tid = static_cast<int32_t>(record.own_tid);
  std::memcpy(thread.comm, record.comm, sizeof thread.comm);
}

uint32_t TraceDecoder::thread_index(uint32_t tid) {
  const uint32_t found = thread_of_.find(uint64_t{tid} + 1);
  if (found != UINT32_MAX) {
    return found;
  }
  trace_thread_record unknown{};
  unknown.tid = tid;
  take_thread(unknown);
  return thread_of_.find(uint64_t{tid} + 1);
}

uint32_t TraceDecoder::add_end(End&& end) {
  ends_.push_back(std::move(end));
  return static_cast<uint32_t>(ends_.size() - 1);
}

void TraceDecoder::take_channel(const trace_channel_record& record) {
  const uint32_t user = thread_of_.find(uint64_t{record.tid} + 1);
  TraceName name = names_.name(record, user == UINT32_MAX ? 0 : threads_[user].pid);
  End end;
  end.id = std::move(name.id);
  end.kind = name.kind;
  if (!name.is_whole) {
    end.tries = 4;
    end.record = record;
    end.record.fd = -1;
  }
  if (record.channel_kind == TRACE_UNIX) {
    end.two_ends = true;
    end.peer_pid = static_cast<int32_t>(record.unix_end.peer_pid);
    if (record.unix_end.peer_inode != 0) {
      end.peer = (uint64_t{TRACE_UNIX} + 1) << 56 | number_of_key(record.unix_end.peer_inode);
    }
  } else if (record.channel_kind == TRACE_TCP || record.channel_kind == TRACE_UDP) {
    end.two_ends = true;
    inet_[inet_text(record.inet, false)] = record.key;
    const auto other = inet_.find(inet_text(record.inet, true));
    if (other != inet_.end() && other->second != record.key) {
      end.peer = other->second;
      const uint32_t index = end_of_.find(end.peer);
      if (index != UINT32_MAX) {
        ends_[index].peer = record.key;
      }
    }
  }
  bool is_new = false;
  uint32_t& index = end_of_.slot(record.key, is_new);
  if (!is_new && index != UINT32_MAX && ends_[index].id == end.id) {
    ends_[index].peer = end.peer != 0 ? end.peer : ends_[index].peer;
    return;
  }
  index = add_end(std::move(end));
}

/// Looks for the name of a channel at another of its users.
uint32_t TraceDecoder::try_again(uint32_t index, uint32_t thread) {
  End& end = ends_[index];
  if (threads_[thread].tid == static_cast<int32_t>(end.record.tid)) {
    return index;
  }
  end.tries--;
  TraceName name = names_.name(end.record, threads_[thread].pid);
  if (!name.is_whole) {
    return index;
  }
  const uint64_t key = end.record.key;
  End renamed = end;
  renamed.id = std::move(name.id);
  renamed.tries = 0;
  end.tries = 0;
  bool is_new = false;
  return end_of_.slot(key, is_new) = add_end(std::move(renamed));
}

uint32_t TraceDecoder::end_index(uint64_t key, uint32_t thread, bool is_private) {
  if (key == 0) {
    return UINT32_MAX;
  }
  const uint8_t kind = kind_of_key(key);
  const uint64_t slot_key = kind == TRACE_FUTEX ? futex_key(key, threads_[thread].pid) : key;
  const uint32_t found = end_of_.find(slot_key);
  if (found != UINT32_MAX) {
    return ends_[found].tries == 0 ? found : try_again(found, thread);
  }
  End end;
  end.kind = kind;
  if (kind == TRACE_FUTEX) {
    TraceName name = names_.futex(threads_[thread].pid, number_of_key(key), is_private);
    end.id = std::move(name.id);
    end.kind = name.kind;
  } else {
    end.id = fmt::format("{}:{}", trace_word(kind), number_of_key(key));
  }
  bool is_new = false;
  uint32_t index = UINT32_MAX;
  if (kind == TRACE_FUTEX) {
    const auto [same, added] = futexes_.try_emplace(end.id, static_cast<uint32_t>(ends_.size()));
    if (added) {
      add_end(std::move(end));
    }
    index = same->second;
  } else {
    index = add_end(std::move(end));
  }
  end_of_.slot(slot_key, is_new) = index;
  return index;
}

uint32_t TraceDecoder::channel_of(const trace_event_record& event) {
  return end_index(event.channel, thread_index(event.tid),
                   is_private_futex(event.call, event.detail));
}

TracePeer TraceDecoder::find_peer(End& end, uint32_t thread, TraceDirection direction, bool uses) {
  TracePeer peer;
  uint32_t other = UINT32_MAX;
  if (end.two_ends) {
    const uint32_t index = end.peer == 0 ? UINT32_MAX : end_of_.find(end.peer);
    other = index == UINT32_MAX ? UINT32_MAX : ends_[index].giver;
    end.giver = thread;
    if (other == UINT32_MAX && end.peer_pid > 0 && end.peer_pid != threads_[thread].pid) {
      peer.pid = end.peer_pid;
    }
  } else {
    const uint32_t first = direction == TraceDirection::out ? end.giver : end.taker;
    const uint32_t second = direction == TraceDirection::out ? end.taker : end.giver;
    other = first != UINT32_MAX && first != thread ? first
            : direction == TraceDirection::none    ? second
                                                   : UINT32_MAX;
    if (uses) {
      (direction == TraceDirection::out ? end.taker : end.giver) = thread;
    }
  }
  if (other != UINT32_MAX && other != thread) {
    const Thread& known = threads_[other];
    peer.pid = known.pid;
    peer.tid = known.tid;
    peer.thread_index = other;
    peer.comm = {known.comm, ::strnlen(known.comm, sizeof known.comm)};
  }
  return peer;
}

/// What only some operations have to say.
void TraceDecoder::describe(TraceEvent& event, const trace_event_record& record, uint32_t thread) {
  detail_.clear();
  const auto other_channel = [&] {
    const uint32_t other = end_index(record.detail, thread, false);
    return other == UINT32_MAX ? std::string("a file") : ends_[other].id;
  };
  switch (record.call) {
    case TRACE_CALL_SEND_FD:
    case TRACE_CALL_RECEIVE_FD:
      detail_ = fmt::format("fd {} {}", record.result, other_channel());
      break;
    case TRACE_CALL_SIGNAL_GENERATE: {
      // enum of include/trace/events/signal.h
      static constexpr const char* outcomes[] = {"", ", ignored", ", already pending",
                                                 ", queue overflow", ", information lost"};
      signal_word(static_cast<int>(record.detail & 0xffffffff), detail_);
      if (record.result > 0 && record.result < static_cast<int64_t>(std::size(outcomes))) {
        detail_ += outcomes[record.result];
      }
      break;
    }
    case TRACE_CALL_SIGNAL_DELIVER:
      signal_word(static_cast<int>(record.detail & 0xffffffff), detail_);
      break;
    case TRACE_CALL_IO_URING:
      if (const char* name = ring_operation(record.detail)) {
        detail_ = name;
      } else {
        detail_ = fmt::format("operation {}", record.detail);
      }
      break;
    case SYS_splice:
    case SYS_tee:
    case SYS_sendfile:
      if (record.detail != 0) {
        detail_ = "to " + other_channel();
      }
      break;
    case SYS_epoll_ctl:
      detail_ = record.detail == EPOLL_CTL_ADD   ? "add"
                : record.detail == EPOLL_CTL_DEL ? "delete"
                                                 : "modify";
      break;
    case SYS_flock:
      detail_ = (record.detail & LOCK_UN) != 0   ? "unlock"
                : (record.detail & LOCK_SH) != 0 ? "shared"
                                                 : "exclusive";
      break;
    case SYS_fcntl:
      if ((record.detail & 0xffffffff) != F_SETPIPE_SZ) {
        detail_ = lock_type(record.detail >> 32);
      } else {
        detail_ = "F_SETPIPE_SZ";
      }
      break;
    case SYS_semctl:
    case SYS_msgctl:
    case SYS_shmctl:
      if (const char* command = control_command(record.detail)) {
        detail_ = command;
      }
      break;
#ifdef SYS_pipe
    case SYS_pipe:
#endif
    case SYS_pipe2:
    case SYS_socketpair:
      if (record.result == 0) {
        detail_ = fmt::format("fd {} and {}", record.detail >> 32, record.detail & 0xffffffff);
      }
      break;
#ifdef SYS_poll
    case SYS_poll:
#endif
    case SYS_ppoll:
#ifdef SYS_select
    case SYS_select:
#endif
    case SYS_pselect6:
      detail_ = fmt::format("{} descriptor{}", record.detail, record.detail == 1 ? "" : "s");
      break;
    default:
      return;
  }
  event.detail = detail_;
}

bool TraceDecoder::take_event(const trace_event_record& record, std::span<const std::byte> tail,
                              TraceSink& sink) {
  const TraceCall* call = find_trace_call(record.call);
  const size_t payload = (size_t{record.payload} + 7) & ~size_t{7};
  if (call == nullptr || tail.size() < payload + size_t{record.stack} * 8) {
    return false;
  }
  events_++;
  const uint32_t thread = thread_index(record.tid);
  const uint32_t end =
      end_index(record.channel, thread, is_private_futex(record.call, record.detail));
  TraceEvent event;
  event.operation = call->operation;
  TraceDirection direction = call->direction;
  if (record.call == SYS_futex) {
    event.operation = futex_operation(record.detail, direction);
  }
  event.thread_index = thread;
  event.channel_index = end;
  const Thread& who = threads_[thread];
  event.pid = who.pid;
  event.tid = who.tid;
  event.comm = {who.comm, ::strnlen(who.comm, sizeof who.comm)};
  event.time_ns = record.end_ns;
  if (record.duration_ns != UNKNOWN_U64) {
    event.duration_ns = record.duration_ns;
    event.time_ns -= record.duration_ns;
  }
  event.result = record.result;
  event.gives = direction == TraceDirection::in;
  event.takes = direction == TraceDirection::out;
  event.has_result = record.call < TRACE_CALLS;
  if (call->kernel.bytes != BYTES_NONE && record.result >= 0) {
    event.bytes = record.bytes;
  }
  if (call->kernel.kind == TRACE_SIGNAL || call->kernel.kind == TRACE_FD) {
    event.kind = trace_word(call->kernel.kind);
  } else if (end == UINT32_MAX) {
    event.kind = trace_word(call->kernel.shape == SHAPE_POLL || call->kernel.shape == SHAPE_SELECT
                                ? static_cast<uint8_t>(TRACE_POLL)
                                : call->kernel.kind);
  }
  if (end != UINT32_MAX) {
    if (event.kind.empty()) {
      event.kind = trace_word(ends_[end].kind);
    }
    event.channel = ends_[end].id;
    if (record.call < TRACE_CALLS && call->kernel.shape != SHAPE_NEW_PAIR) {
      event.peer = find_peer(ends_[end], thread, direction, !call->lifecycle);
    }
    if (record.call == TRACE_CALL_SIGNAL_GENERATE) {
      event.peer.pid = static_cast<int32_t>(number_of_key(record.channel));
      event.peer.tid = static_cast<int32_t>(record.detail >> 32);
    }
  }
  if (record.payload > 0) {
    event.payload = {reinterpret_cast<const char*>(tail.data()), record.payload};
  }
  if (record.stack > 0) {
    event.stack = {reinterpret_cast<const uint64_t*>(tail.data() + payload), record.stack};
    // What was built without frame pointers has something else where the next frame should be.
    const auto bad = std::find_if(event.stack.begin(), event.stack.end(), [](uint64_t address) {
      return address < lowest_code || address > highest_code;
    });
    event.stack = event.stack.first(static_cast<size_t>(bad - event.stack.begin()));
  }
  describe(event, record, thread);
  sink.event(event);
  return true;
}

}  // namespace ipcscope
