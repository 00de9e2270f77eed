// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/syscalls.h"

#include <sys/syscall.h>

#include <array>
#include <cstddef>
#include <iterator>

// Newer than the headers of Debian 12; these numbers are the same on every architecture
// (Linux 6.7 scripts/syscall.tbl).
#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif
#ifndef SYS_futex_wait
#define SYS_futex_wait 455
#endif
#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

namespace ipcscope {

namespace {

using enum Blocking;  // the table is made of them

constexpr SystemCall calls[] = {
    {SYS_read, "read", fd_read},
    {SYS_readv, "read", fd_read},
    {SYS_pread64, "read", fd_read},
    {SYS_preadv, "read", fd_read},
    {SYS_preadv2, "read", fd_read},
    {SYS_write, "write", fd_write},
    {SYS_writev, "write", fd_write},
    {SYS_pwrite64, "write", fd_write},
    {SYS_pwritev, "write", fd_write},
    {SYS_pwritev2, "write", fd_write},
    {SYS_recvfrom, "recv", fd_read},
    {SYS_recvmsg, "recv", fd_read},
    // The limit of recvmmsg is looked at after each message only: it does not end a wait.
    {SYS_recvmmsg, "recv", fd_read},
    {SYS_sendto, "send", send_to},
    {SYS_sendmsg, "send", send_message},
    {SYS_sendmmsg, "send", send_message},
    {SYS_accept, "accept", fd_read},
    {SYS_accept4, "accept", fd_read},
    {SYS_connect, "connect", connect},
    {SYS_splice, "splice", transfer},
    {SYS_tee, "tee", transfer},
    {SYS_vmsplice, "vmsplice", fd_write},
    {SYS_sendfile, "sendfile", send_file},
    {SYS_copy_file_range, "copy_file_range"},
    {SYS_ioctl, "ioctl", fd_read},
    {SYS_fsync, "fsync"},
    {SYS_fdatasync, "fdatasync"},
    {SYS_close, "close"},
#ifdef SYS_poll
    {SYS_poll, "poll", poll, 0, TimeLimit::milliseconds, 2},
#endif
    {SYS_ppoll, "poll", poll, 0, TimeLimit::timespec, 2},
#ifdef SYS_select
    {SYS_select, "select", select, 0, TimeLimit::timeval, 4},
#endif
    {SYS_pselect6, "select", select, 0, TimeLimit::timespec, 4},
#ifdef SYS_epoll_wait
    {SYS_epoll_wait, "epoll_wait", fd_read, 0, TimeLimit::milliseconds, 3},
#endif
    {SYS_epoll_pwait, "epoll_wait", fd_read, 0, TimeLimit::milliseconds, 3},
    {SYS_epoll_pwait2, "epoll_wait", fd_read, 0, TimeLimit::timespec, 3},
    {SYS_io_uring_enter, "io_uring_enter", fd_read},
    {SYS_io_getevents, "io_getevents", other, 0, TimeLimit::timespec, 4},
    {SYS_semop, "semop", semaphore_set},
    {SYS_semtimedop, "semop", semaphore_set, 0, TimeLimit::timespec, 3},
    {SYS_msgsnd, "msgsnd", message_queue},
    {SYS_msgrcv, "msgrcv", message_queue},
    {SYS_mq_timedsend, "mq_send", fd_write, 0, TimeLimit::deadline, 4},
    {SYS_mq_timedreceive, "mq_receive", fd_read, 0, TimeLimit::deadline, 4},
    {SYS_flock, "flock", flock},
    {SYS_fcntl, "fcntl", fcntl},
#ifdef SYS_open
    {SYS_open, "open", open, 0},
#endif
#ifdef SYS_creat
    {SYS_creat, "open", open, 0},
#endif
    {SYS_openat, "open", open, 1},
    {SYS_openat2, "open", open, 1},
    {SYS_truncate, "truncate", open, 0},
    {SYS_wait4, "wait4", wait4},
    {SYS_waitid, "waitid", waitid},
#ifdef SYS_vfork
    {SYS_vfork, "vfork"},
#endif
    {SYS_clone, "clone"},
    {SYS_clone3, "clone", new_process},
#ifdef SYS_pause
    {SYS_pause, "sigwait"},
#endif
    {SYS_rt_sigsuspend, "sigwait"},
    {SYS_rt_sigtimedwait, "sigwait", other, 0, TimeLimit::timespec, 2},
    {SYS_nanosleep, "sleep", other, 0, TimeLimit::timespec, 0},
    {SYS_clock_nanosleep, "sleep", other, 0, TimeLimit::clock_nanosleep, 2},
    {SYS_futex, "futex_wait", futex, 0, TimeLimit::futex, 3},
    {SYS_futex_wait, "futex_wait", futex2, 0, TimeLimit::futex2, 4},
    {SYS_futex_waitv, "futex_waitv", futex_vector, 0, TimeLimit::futex2, 3},
    {SYS_restart_syscall, "restart"},
};

constexpr size_t numbers = 512;  // x32 begins here on x86-64, and is not decoded

constexpr std::array<uint8_t, numbers> make_index() {
  std::array<uint8_t, numbers> index{};
  for (size_t i = 0; i < std::size(calls); i++) {
    index[static_cast<size_t>(calls[i].number)] = static_cast<uint8_t>(i + 1);
  }
  return index;
}
static_assert(std::size(calls) < UINT8_MAX);

}  // namespace

const SystemCall* find_system_call(int64_t number) {
  static constexpr std::array<uint8_t, numbers> index = make_index();
  if (number < 0 || number >= static_cast<int64_t>(numbers)) {
    return nullptr;
  }
  const uint8_t at = index[static_cast<size_t>(number)];
  return at == 0 ? nullptr : &calls[at - 1];
}

}  // namespace ipcscope
