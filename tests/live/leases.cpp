// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/live/leases.h"

#include <fcntl.h>
#include <mqueue.h>

#include <cerrno>

#include "tests/live/main.h"

namespace ipcscope::live {

bool has_queue_leases() {
  constexpr const char* name = "/ipcscope-test-lease";
  const mqd_t queue = ::mq_open(name, O_CREAT | O_RDONLY, 0600, nullptr);
  ::mq_unlink(name);
  const bool refused = ::fcntl(queue, F_SETLEASE, F_RDLCK) != 0 && errno == EINVAL;
  ::mq_close(queue);
  if (refused) {
    tell_impossible("this kernel has no leases on queues");
  }
  return !refused;
}

}  // namespace ipcscope::live
