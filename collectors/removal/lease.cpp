// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/removal/lease.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>

namespace ipcscope {

Lease take_lease(int file) {
  // The owner that is set first stays (lease_setup in fs/locks.c).
  const f_owner_ex owner{F_OWNER_TID, ::gettid()};
  if (::fcntl(file, F_SETSIG, SIGURG) != 0 || ::fcntl(file, F_SETOWN_EX, &owner) != 0) {
    return Lease::unsupported;
  }
  if (::fcntl(file, F_SETLEASE, F_WRLCK) == 0) {
    return Lease::granted;
  }
  if (errno == EAGAIN) {
    return Lease::in_use;
  }
  return errno == EACCES || errno == EPERM ? Lease::denied : Lease::unsupported;
}

bool lease_is_whole(int file) { return ::fcntl(file, F_GETLEASE) == F_WRLCK; }

}  // namespace ipcscope
