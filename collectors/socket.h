// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "collectors/mechanism.h"

namespace ipcscope {

/// UNIX sockets: a connected pair is one channel, a datagram receiver one with all its senders.
extern const MechanismEntry unix_mechanism;
/// TCP and UDP: a connection within the host is one channel with both its ends.
extern const MechanismEntry inet_mechanism;
/// Every other family: netlink, packet, raw, vsock.
extern const MechanismEntry socket_mechanism;

}  // namespace ipcscope
