// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/epoll.h"
#include "collectors/eventfd.h"
#include "collectors/filelock.h"
#include "collectors/inotify.h"
#include "collectors/io_uring.h"
#include "collectors/mechanism.h"
#include "collectors/mq.h"
#include "collectors/pidfd.h"
#include "collectors/pipe.h"
#include "collectors/pty.h"
#include "collectors/shmem.h"
#include "collectors/signalfd.h"
#include "collectors/socket.h"
#include "collectors/sysv.h"
#include "collectors/timerfd.h"
#include "collectors/waits.h"

namespace ipcscope {

std::span<const MechanismEntry> mechanism_table() {
  static const MechanismEntry table[] = {
      pipe_mechanism,
      unix_mechanism,
      inet_mechanism,
      socket_mechanism,
      sysv_mechanism,
      shmem_mechanism,
      mq_mechanism,
      filelock_mechanism,
      eventfd_mechanism,
      signalfd_mechanism,
      timerfd_mechanism,
      pidfd_mechanism,
      inotify_mechanism,
      io_uring_mechanism,
      pty_mechanism,
      // The last two: they look up what all the others have made.
      epoll_mechanism,
      waits_mechanism,
  };
  return table;
}

}  // namespace ipcscope
