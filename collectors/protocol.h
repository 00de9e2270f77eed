// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_map>

#include "collectors/base/proc_root.h"
#include "collectors/model/snapshot.h"

namespace ipcscope {

/// What Protocol::from is beside the name of a library.
inline constexpr std::string_view protocol_from_path = "path";
inline constexpr std::string_view protocol_from_port = "port";

/// What is spoken over a socket, as far as something tells.
struct Protocol {
  std::string_view name;  ///< "D-Bus"
  std::string_view from;  ///< what tells it: one of the above, or the library, "libzmq"
  friend bool operator==(const Protocol&, const Protocol&) = default;
};

/// Of those channels of which something tells it.
using Protocols = std::unordered_map<ChannelIndex, Protocol>;

/// By the path or abstract name ("@...") of a UNIX socket that a well-known server listens at.
std::optional<Protocol> protocol_of_name(std::string_view name);
/// By the port that belongs to it (IANA's register).
std::optional<Protocol> protocol_of_port(uint16_t port);

/// Looks at the names of these channels, and where those say nothing, at what the processes at both
/// ends have mapped: /proc/PID/maps, once for each process. Not for every `ls`: that file costs
/// more than all the rest that is read of a process.
Protocols find_protocols(const Snapshot& snapshot, std::span<const ChannelIndex> channels,
                         const ProcRoot& proc);

}  // namespace ipcscope
