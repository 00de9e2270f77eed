// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/mechanism.h"
#include "collectors/pipe.h"
#include "collectors/shmem.h"
#include "collectors/socket.h"
#include "collectors/sysv.h"

namespace ipcscope {

std::span<const MechanismEntry> mechanism_table() {
  static const MechanismEntry table[] = {
      pipe_mechanism,
      unix_mechanism,
      inet_mechanism,
      socket_mechanism,
      sysv_mechanism,
      shmem_mechanism,
  };
  return table;
}

}  // namespace ipcscope
