// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>

namespace ipcscope {

/// How to find out what a thread waits for in a system call.
enum class Blocking : uint8_t {
  other,          ///< nothing that is a channel
  fd_read,        ///< data from a descriptor
  fd_write,       ///< room behind a descriptor
  connect,        ///< a descriptor, or the listener at an address
  send_to,        ///< as fd_write, or the receiver at an address
  send_message,   ///< as send_to, with the address in a struct msghdr
  transfer,       ///< splice and tee: a pipe that is empty, or one that is full
  send_file,      ///< room behind the first descriptor
  poll,           ///< an array of struct pollfd
  select,         ///< three bit sets
  semaphore_set,  ///< System V
  message_queue,  ///< System V
  flock,          ///< flock()
  fcntl,          ///< a record lock, when the command says so
  open,           ///< a FIFO or a lease, at a path
  wait4,
  waitid,
  futex,
  futex2,
  futex_vector,
  new_process,  ///< clone3(): the child, when the flags in struct clone_args say so
};

/// How a caller says how long it wants to wait.
enum class TimeLimit : uint8_t {
  none,
  milliseconds,     ///< a signed number, negative for ever
  timespec,         ///< a pointer, null for ever
  timeval,          ///< likewise
  deadline,         ///< a pointer to a struct timespec of CLOCK_REALTIME
  clock_nanosleep,  ///< clock and flags in the first two arguments
  futex,            ///< as the operation says
  futex2,           ///< a deadline, its clock in the argument after it
};

/// A system call in which a thread can sleep.
struct SystemCall {
  int number;
  const char* operation;  ///< as Wait::operation has it
  Blocking blocking = Blocking::other;
  int8_t argument = 0;  ///< which one is the descriptor, the id, the path or the array
  TimeLimit limit = TimeLimit::none;
  uint8_t limit_argument = 0;
};

/// By its number on the architecture that this is built for; null when it is none of them.
const SystemCall* find_system_call(int64_t number);

}  // namespace ipcscope
