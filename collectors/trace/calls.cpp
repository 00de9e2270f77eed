// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/trace/calls.h"

#include <linux/futex.h>
#include <sys/syscall.h>

#include <array>
#include <iterator>

// Newer than the headers of Debian 12; the same on every architecture (Linux scripts/syscall.tbl).
#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif
#ifndef SYS_futex_wake
#define SYS_futex_wake 454
#endif
#ifndef SYS_futex_wait
#define SYS_futex_wait 455
#endif
#ifndef SYS_futex_requeue
#define SYS_futex_requeue 456
#endif
#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif
#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13
#endif

namespace ipcscope {

namespace {

constexpr uint64_t bit(int kind) { return uint64_t{1} << kind; }

constexpr uint64_t pipes = bit(TRACE_PIPE) | bit(TRACE_FIFO);
constexpr uint64_t sockets = bit(TRACE_UNIX) | bit(TRACE_TCP) | bit(TRACE_UDP) |
                             bit(TRACE_NETLINK) | bit(TRACE_PACKET) | bit(TRACE_RAW) |
                             bit(TRACE_VSOCK);
constexpr uint64_t readable = pipes | sockets | bit(TRACE_EVENTFD) | bit(TRACE_SIGNALFD) |
                              bit(TRACE_TIMERFD) | bit(TRACE_INOTIFY) | bit(TRACE_PTY);
constexpr uint64_t writable = pipes | sockets | bit(TRACE_EVENTFD) | bit(TRACE_PTY);
constexpr uint64_t pollable = readable | bit(TRACE_EPOLL) | bit(TRACE_PIDFD) | bit(TRACE_MQ) |
                              bit(TRACE_IO_URING) | bit(TRACE_POLL);
constexpr uint64_t spliced = pipes | sockets | bit(TRACE_PTY) | bit(TRACE_SPLICE);
constexpr uint64_t messages = sockets | bit(TRACE_FD);
constexpr uint64_t opened =
    bit(TRACE_FIFO) | bit(TRACE_POSIXSHM) | bit(TRACE_POSIXSEM) | bit(TRACE_PTY);
constexpr uint64_t posix_shm = bit(TRACE_POSIXSHM) | bit(TRACE_POSIXSEM);
constexpr uint64_t locks =
    bit(TRACE_FCNTL) | bit(TRACE_OFD) | bit(TRACE_LEASE) | bit(TRACE_PIPE) | bit(TRACE_FIFO);

constexpr uint8_t no_kind = TRACE_NO_KIND;
constexpr uint8_t no_detail = 0xff;
constexpr uint8_t no_argument = 7;

constexpr trace_call fd(uint8_t argument, uint8_t detail = no_detail) {
  return {SHAPE_FD, argument, no_kind, BYTES_NONE, PAYLOAD_NONE, 0, 0, detail};
}
constexpr trace_call moves(uint8_t direction, uint8_t payload, uint8_t bytes = BYTES_RESULT) {
  return {SHAPE_FD, 0, no_kind, bytes, payload, direction, 0, no_detail};
}
constexpr trace_call made(uint8_t argument = no_argument, uint8_t kind = no_kind) {
  return {SHAPE_NEW_FD, argument, kind, BYTES_NONE, PAYLOAD_NONE, 0, 0, no_detail};
}
constexpr trace_call shaped(uint8_t shape, uint8_t argument, uint8_t kind = no_kind,
                            uint8_t detail = no_detail) {
  return {shape, argument, kind, BYTES_NONE, PAYLOAD_NONE, 0, 0, detail};
}
constexpr trace_call splice(uint8_t argument, uint8_t detail) {
  return {SHAPE_SPLICE, argument, TRACE_SPLICE, BYTES_RESULT, PAYLOAD_NONE, 0, 0, detail};
}

using enum TraceDirection;

constexpr TraceCall table[] = {
    {SYS_read, "read", readable, moves(2, PAYLOAD_BUFFER), out},
    {SYS_readv, "readv", readable, moves(2, PAYLOAD_VECTOR), out},
    {SYS_write, "write", writable, moves(1, PAYLOAD_BUFFER), in},
    {SYS_writev, "writev", writable, moves(1, PAYLOAD_VECTOR), in},
    {SYS_preadv2, "preadv2", readable, moves(2, PAYLOAD_VECTOR), out},
    {SYS_pwritev2, "pwritev2", writable, moves(1, PAYLOAD_VECTOR), in},
    {SYS_recvfrom, "recv", sockets, moves(2, PAYLOAD_BUFFER), out},
    {SYS_recvmsg, "recvmsg", messages, moves(2, PAYLOAD_MESSAGE), out},
    {SYS_recvmmsg, "recvmmsg", sockets, moves(2, PAYLOAD_NONE, BYTES_NONE), out},
    {SYS_sendto, "send", sockets, moves(1, PAYLOAD_BUFFER), in},
    {SYS_sendmsg, "sendmsg", messages, moves(1, PAYLOAD_MESSAGE), in},
    {SYS_sendmmsg, "sendmmsg", sockets, moves(1, PAYLOAD_NONE, BYTES_NONE), in},

    {SYS_socket, "socket", sockets, made(), none, true},
    {SYS_socketpair, "socketpair", sockets, shaped(SHAPE_NEW_PAIR, 3), none, true},
    {SYS_bind, "bind", sockets, fd(0), none, true},
    {SYS_listen, "listen", sockets, fd(0, 1), none, true},
    {SYS_connect, "connect", sockets, fd(0), none, true},
    {SYS_accept, "accept", sockets, made(0), none, true},
    {SYS_accept4, "accept", sockets, made(0), none, true},
    {SYS_shutdown, "shutdown", sockets, fd(0, 1), none, true},
#ifdef SYS_pipe
    {SYS_pipe, "pipe", bit(TRACE_PIPE), shaped(SHAPE_NEW_PAIR, 0, TRACE_PIPE), none, true},
#endif
    {SYS_pipe2, "pipe", bit(TRACE_PIPE), shaped(SHAPE_NEW_PAIR, 0, TRACE_PIPE), none, true},
#ifdef SYS_open
    {SYS_open, "open", opened, shaped(SHAPE_OPEN, 0), none, true},
#endif
    {SYS_openat, "open", opened, shaped(SHAPE_OPEN, 1), none, true},
    {SYS_openat2, "open", opened, shaped(SHAPE_OPEN, 1), none, true},
#ifdef SYS_unlink
    {SYS_unlink, "unlink", posix_shm, shaped(SHAPE_PATH, 0, TRACE_POSIXSHM), none, true},
#endif
    {SYS_unlinkat, "unlink", posix_shm, shaped(SHAPE_PATH, 1, TRACE_POSIXSHM), none, true},
    {SYS_memfd_create, "memfd_create", bit(TRACE_MEMFD), made(no_argument, TRACE_MEMFD), none,
     true},
    {SYS_ftruncate, "ftruncate", bit(TRACE_MEMFD) | bit(TRACE_POSIXSHM), fd(0, 1), none, true},

    {SYS_futex, "futex", bit(TRACE_FUTEX), shaped(SHAPE_FUTEX, 0, no_kind, 1)},
    {SYS_futex_wait, "futex_wait", bit(TRACE_FUTEX), shaped(SHAPE_FUTEX, 0, no_kind, 3), out},
    {SYS_futex_wake, "futex_wake", bit(TRACE_FUTEX), shaped(SHAPE_FUTEX, 0, no_kind, 3), in},
    {SYS_futex_requeue, "futex_requeue", bit(TRACE_FUTEX), shaped(SHAPE_FUTEX_WAITV, 0, no_kind, 1),
     in},
    {SYS_futex_waitv, "futex_waitv", bit(TRACE_FUTEX), shaped(SHAPE_FUTEX_WAITV, 0, no_kind, 1),
     out},

    {SYS_semget, "semget", bit(TRACE_SEM), shaped(SHAPE_NEW_SYSV, 0, TRACE_SEM, 0), none, true},
    {SYS_semop, "semop", bit(TRACE_SEM), shaped(SHAPE_SYSV, 0, TRACE_SEM, 2)},
    {SYS_semtimedop, "semop", bit(TRACE_SEM), shaped(SHAPE_SYSV, 0, TRACE_SEM, 2)},
    {SYS_semctl, "semctl", bit(TRACE_SEM), shaped(SHAPE_SYSV, 0, TRACE_SEM, 2), none, true},
    {SYS_msgget, "msgget", bit(TRACE_MSG), shaped(SHAPE_NEW_SYSV, 0, TRACE_MSG, 0), none, true},
    {SYS_msgsnd,
     "msgsnd",
     bit(TRACE_MSG),
     {SHAPE_SYSV, 0, TRACE_MSG, BYTES_ARGUMENT_2, PAYLOAD_SYSV, 1, 0, no_detail},
     in},
    {SYS_msgrcv,
     "msgrcv",
     bit(TRACE_MSG),
     {SHAPE_SYSV, 0, TRACE_MSG, BYTES_RESULT, PAYLOAD_SYSV, 2, 0, 3},
     out},
    {SYS_msgctl, "msgctl", bit(TRACE_MSG), shaped(SHAPE_SYSV, 0, TRACE_MSG, 1), none, true},
    {SYS_shmget, "shmget", bit(TRACE_SHM), shaped(SHAPE_NEW_SYSV, 0, TRACE_SHM, 1), none, true},
    {SYS_shmat, "shmat", bit(TRACE_SHM), shaped(SHAPE_SYSV, 0, TRACE_SHM), none, true},
    {SYS_shmctl, "shmctl", bit(TRACE_SHM), shaped(SHAPE_SYSV, 0, TRACE_SHM, 1), none, true},

    {SYS_mq_open, "mq_open", bit(TRACE_MQ), made(no_argument, TRACE_MQ), none, true},
    {SYS_mq_unlink, "mq_unlink", bit(TRACE_MQ), shaped(SHAPE_PATH, 0, TRACE_MQ), none, true},
    {SYS_mq_timedsend,
     "mq_send",
     bit(TRACE_MQ),
     {SHAPE_FD, 0, no_kind, BYTES_ARGUMENT_2, PAYLOAD_BUFFER, 1, 0, 3},
     in},
    {SYS_mq_timedreceive, "mq_receive", bit(TRACE_MQ), moves(2, PAYLOAD_BUFFER), out},
    {SYS_mq_notify, "mq_notify", bit(TRACE_MQ), fd(0), none, true},
    {SYS_mq_getsetattr, "mq_getsetattr", bit(TRACE_MQ), fd(0)},

    {SYS_flock, "flock", bit(TRACE_FLOCK), shaped(SHAPE_LOCK, 0, no_kind, 1)},
    {SYS_fcntl, "fcntl", locks, shaped(SHAPE_FCNTL, 0)},

#ifdef SYS_eventfd
    {SYS_eventfd, "eventfd", bit(TRACE_EVENTFD), made(no_argument, TRACE_EVENTFD), none, true},
#endif
    {SYS_eventfd2, "eventfd", bit(TRACE_EVENTFD), made(no_argument, TRACE_EVENTFD), none, true},
#ifdef SYS_epoll_create
    {SYS_epoll_create, "epoll_create", bit(TRACE_EPOLL), made(no_argument, TRACE_EPOLL), none,
     true},
#endif
    {SYS_epoll_create1, "epoll_create", bit(TRACE_EPOLL), made(no_argument, TRACE_EPOLL), none,
     true},
    {SYS_epoll_ctl, "epoll_ctl", bit(TRACE_EPOLL), fd(0, 1), none, true},
#ifdef SYS_epoll_wait
    {SYS_epoll_wait, "epoll_wait", bit(TRACE_EPOLL), fd(0), out},
#endif
    {SYS_epoll_pwait, "epoll_wait", bit(TRACE_EPOLL), fd(0), out},
    {SYS_epoll_pwait2, "epoll_wait", bit(TRACE_EPOLL), fd(0), out},
#ifdef SYS_poll
    {SYS_poll, "poll", pollable, shaped(SHAPE_POLL, 0), out},
#endif
    {SYS_ppoll, "poll", pollable, shaped(SHAPE_POLL, 0), out},
#ifdef SYS_select
    {SYS_select, "select", bit(TRACE_POLL), shaped(SHAPE_SELECT, 0), out},
#endif
    {SYS_pselect6, "select", bit(TRACE_POLL), shaped(SHAPE_SELECT, 0), out},
#ifdef SYS_signalfd
    {SYS_signalfd, "signalfd", bit(TRACE_SIGNALFD), made(no_argument, TRACE_SIGNALFD), none, true},
#endif
    {SYS_signalfd4, "signalfd", bit(TRACE_SIGNALFD), made(no_argument, TRACE_SIGNALFD), none, true},
    {SYS_timerfd_create, "timerfd_create", bit(TRACE_TIMERFD), made(no_argument, TRACE_TIMERFD),
     none, true},
    {SYS_timerfd_settime, "timerfd_settime", bit(TRACE_TIMERFD), fd(0)},
    {SYS_pidfd_open, "pidfd_open", bit(TRACE_PIDFD), made(no_argument, TRACE_PIDFD), none, true},
    {SYS_pidfd_send_signal, "pidfd_send_signal", bit(TRACE_PIDFD), fd(0, 1), in},
    {SYS_pidfd_getfd, "pidfd_getfd", bit(TRACE_PIDFD), fd(0, 1), out},
    {SYS_inotify_init1, "inotify_init", bit(TRACE_INOTIFY), made(no_argument, TRACE_INOTIFY), none,
     true},
    {SYS_inotify_add_watch, "inotify_add_watch", bit(TRACE_INOTIFY), fd(0), none, true},
    {SYS_io_uring_setup, "io_uring_setup", bit(TRACE_IO_URING), made(no_argument, TRACE_IO_URING),
     none, true},
    {SYS_io_uring_enter, "io_uring_enter", bit(TRACE_IO_URING), fd(0, 1)},

    {SYS_splice, "splice", spliced, splice(0, 2)},
    {SYS_tee, "tee", spliced, splice(0, 1)},
    {SYS_sendfile, "sendfile", spliced, splice(1, 0)},
    {SYS_vmsplice,
     "vmsplice",
     spliced,
     {SHAPE_FD, 0, TRACE_SPLICE, BYTES_RESULT, PAYLOAD_VECTOR, 0, 0, no_detail}},
};

/// What is no system call; index is its place in the summary (bpf/trace.bpf.c).
constexpr TraceCall others[] = {
    {TRACE_CALL_SIGNAL_GENERATE,
     "signal_generate",
     bit(TRACE_SIGNAL),
     {0, 0, TRACE_SIGNAL, 0, 0, 0, 250, 0},
     in},
    {TRACE_CALL_SIGNAL_DELIVER,
     "signal_deliver",
     bit(TRACE_SIGNAL),
     {0, 0, TRACE_SIGNAL, 0, 0, 0, 251, 0},
     out},
    {TRACE_CALL_SEND_FD, "send_fd", bit(TRACE_FD), {0, 0, TRACE_FD, 0, 0, 0, 252, 0}, in},
    {TRACE_CALL_RECEIVE_FD, "receive_fd", bit(TRACE_FD), {0, 0, TRACE_FD, 0, 0, 0, 253, 0}, out},
    {TRACE_CALL_IO_URING, "io_uring_submit", ~uint64_t{0}, {0, 0, no_kind, 0, 0, 0, 254, 0}},
};

static_assert(std::size(table) < 250);

constexpr std::array<uint8_t, TRACE_CALLS> make_index() {
  std::array<uint8_t, TRACE_CALLS> index{};
  for (size_t i = 0; i < std::size(table); i++) {
    index[static_cast<size_t>(table[i].number)] = static_cast<uint8_t>(i + 1);
  }
  return index;
}
constexpr std::array<uint8_t, TRACE_CALLS> index_of = make_index();

}  // namespace

std::span<const TraceCall> trace_calls() { return table; }

const TraceCall* find_trace_call(uint32_t number) {
  if (number < TRACE_CALLS) {
    return index_of[number] == 0 ? nullptr : &table[index_of[number] - 1];
  }
  for (const TraceCall& other : others) {
    if (static_cast<uint32_t>(other.number) == number) {
      return &other;
    }
  }
  return nullptr;
}

const TraceCall* trace_call_at(uint32_t index) {
  if (index > 0 && index <= std::size(table)) {
    return &table[index - 1];
  }
  for (const TraceCall& other : others) {
    if (other.kernel.index == index) {
      return &other;
    }
  }
  return nullptr;
}

const char* futex_operation(uint64_t operation, TraceDirection& direction) {
  direction = TraceDirection::out;
  switch (operation & 0x7f) {
    case FUTEX_WAIT:
      return "futex_wait";
    case FUTEX_WAIT_BITSET:
      return "futex_wait_bitset";
    case FUTEX_LOCK_PI:
      return "futex_lock_pi";
    case FUTEX_LOCK_PI2:
      return "futex_lock_pi2";
    case FUTEX_TRYLOCK_PI:
      return "futex_trylock_pi";
    case FUTEX_WAIT_REQUEUE_PI:
      return "futex_wait_requeue_pi";
    default:
      break;
  }
  direction = TraceDirection::in;
  switch (operation & 0x7f) {
    case FUTEX_WAKE:
      return "futex_wake";
    case FUTEX_WAKE_BITSET:
      return "futex_wake_bitset";
    case FUTEX_WAKE_OP:
      return "futex_wake_op";
    case FUTEX_REQUEUE:
      return "futex_requeue";
    case FUTEX_CMP_REQUEUE:
      return "futex_cmp_requeue";
    case FUTEX_CMP_REQUEUE_PI:
      return "futex_cmp_requeue_pi";
    case FUTEX_UNLOCK_PI:
      return "futex_unlock_pi";
    default:
      direction = TraceDirection::none;
      return "futex";
  }
}

uint8_t trace_ring_of(uint8_t kind) {
  switch (kind) {
    case TRACE_PIPE:
    case TRACE_FIFO:
    case TRACE_SPLICE:
      return TRACE_RING_pipe;
    case TRACE_UNIX:
    case TRACE_FD:
      return TRACE_RING_local;
    case TRACE_FUTEX:
      return TRACE_RING_futex;
    case TRACE_TCP:
    case TRACE_UDP:
    case TRACE_NETLINK:
    case TRACE_PACKET:
    case TRACE_RAW:
    case TRACE_VSOCK:
      return TRACE_RING_inet;
    case TRACE_EPOLL:
    case TRACE_POLL:
      return TRACE_RING_poll;
    case TRACE_SHM:
    case TRACE_SEM:
    case TRACE_MSG:
      return TRACE_RING_sysv;
    case TRACE_MQ:
      return TRACE_RING_mq;
    case TRACE_FLOCK:
    case TRACE_FCNTL:
    case TRACE_OFD:
    case TRACE_LEASE:
      return TRACE_RING_lock;
    case TRACE_PTY:
      return TRACE_RING_pty;
    case TRACE_POSIXSHM:
    case TRACE_POSIXSEM:
    case TRACE_MEMFD:
    case TRACE_MMAP:
      return TRACE_RING_memory;
    case TRACE_SIGNAL:
      return TRACE_RING_signal;
    default:
      return TRACE_RING_event;
  }
}

bool is_selected(const TraceCall& call, const TraceRequest& request) {
  return (call.kinds & request.kinds) != 0 && (!request.lifecycle || call.lifecycle);
}

void select_calls(const TraceRequest& request, std::span<trace_call, TRACE_CALLS> calls) {
  for (trace_call& call : calls) {
    call = {};
  }
  for (size_t i = 0; i < std::size(table); i++) {
    const TraceCall& from = table[i];
    if (!is_selected(from, request)) {
      continue;
    }
    trace_call& to = calls[static_cast<size_t>(from.number)];
    to = from.kernel;
    to.index = static_cast<uint8_t>(i + 1);
  }
}

}  // namespace ipcscope
