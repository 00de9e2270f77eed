// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/protocol.h"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <iterator>
#include <string>
#include <vector>

#include "collectors/base/parse.h"

namespace ipcscope {

namespace {

struct WellKnownName {
  const char* pattern;  ///< fnmatch(3), '*' within one component
  std::string_view protocol;
};
constexpr WellKnownName names[] = {
    {"/run/dbus/system_bus_socket", "D-Bus"},
    {"/var/run/dbus/system_bus_socket", "D-Bus"},
    {"/run/user/*/bus", "D-Bus"},
    {"@/tmp/dbus-*", "D-Bus"},
    {"/tmp/.X11-unix/X*", "X11"},
    {"@/tmp/.X11-unix/X*", "X11"},
    {"/run/user/*/wayland-*", "Wayland"},
    {"/run/user/*/pulse/native", "PulseAudio"},
    {"/run/user/*/pipewire-*", "PipeWire"},
    {"/dev/log", "syslog"},
    {"/run/systemd/journal/dev-log", "syslog"},
    {"/run/systemd/journal/socket", "journal"},
    {"/run/systemd/journal/stdout", "journal"},
    {"/run/systemd/notify", "sd_notify"},
    {"/run/rpcbind.sock", "ONC RPC"},
    {"/run/containerd/containerd.sock", "gRPC"},
    {"/var/run/postgresql/.s.PGSQL.*", "PostgreSQL"},
    {"/run/postgresql/.s.PGSQL.*", "PostgreSQL"},
    {"/tmp/.s.PGSQL.*", "PostgreSQL"},
};

struct WellKnownPort {
  uint16_t port;
  std::string_view protocol;
};
constexpr WellKnownPort ports[] = {{111, "ONC RPC"}, {2049, "ONC RPC"}};  // rpcbind, NFS

/// A library that is there for its protocol alone.
struct Library {
  std::string_view name;
  std::string_view protocol;
  bool unix_sockets = true;  ///< else those of the internet only
  std::string_view server;   ///< one end is this program; empty: any two
};
constexpr Library libraries[] = {
    // Programs of every kind have it for the bus, and talk with each other otherwise.
    {"libdbus-1", "D-Bus", true, "dbus-daemon"},
    {"libzmq", "ZeroMQ", true, {}},
    {"libnng", "nng", true, {}},
    {"libnanomsg", "nanomsg", true, {}},
    {"libgrpc", "gRPC", true, {}},
    // PAM's modules bring it into whatever somebody logs in through.
    {"libtirpc", "ONC RPC", false, {}},
};

/// Bit i: libraries[i] is mapped.
using LibrarySet = uint32_t;

LibrarySet libraries_in(std::string_view maps) {
  LibrarySet found = 0;
  for (size_t i = 0; i < std::size(libraries); i++) {
    if (maps.find(fmt::format("/{}.so", libraries[i].name)) != std::string_view::npos) {
      found |= 1U << i;
    }
  }
  return found;
}

/// "tcp:127.0.0.1:111-127.0.0.1:830@4026532181" has two.
template <typename Each>
void each_port(std::string_view id, const Each& each) {
  id = id.substr(0, id.find('@'));
  while (!id.empty()) {
    const size_t end = std::min(id.find('-'), id.size());
    const std::string_view name = id.substr(0, end);
    if (const auto port = parse_number<uint16_t>(name.substr(name.rfind(':') + 1))) {
      each(*port);
    }
    id.remove_prefix(std::min(end + 1, id.size()));
  }
}

class Search {
 public:
  Search(const Snapshot& snapshot, const ProcRoot& proc)
      : snapshot_(snapshot), proc_(proc), known_(snapshot.processes.size()) {}

  std::optional<Protocol> find(const Channel& channel) {
    if (channel.kind == Kind::unix_socket) {
      // A pair without a name is a program's own.
      if (channel.name.empty()) {
        return std::nullopt;
      }
      const auto told = protocol_of_name(channel.name);
      return told ? told : find_by_library(channel);
    }
    if (channel.kind != Kind::tcp && channel.kind != Kind::udp) {
      return std::nullopt;
    }
    std::optional<Protocol> told;
    each_port(channel.id, [&](uint16_t port) { told = told ? told : protocol_of_port(port); });
    return told ? told : find_by_library(channel);
  }

 private:
  LibrarySet libraries_of(ProcessIndex process) {
    if (!known_[process]) {
      const auto maps = proc_.read(fmt::format("{}/maps", snapshot_.processes[process].pid));
      known_[process] = maps ? libraries_in(*maps) : 0;
    }
    return *known_[process];
  }

  /// The one library that every process at both ends, or at a listener, has.
  std::optional<Protocol> find_by_library(const Channel& channel) {
    LibrarySet all = (1U << std::size(libraries)) - 1;
    bool has_both_ends = false;
    const auto endpoints = snapshot_.endpoints_of(channel);
    for (const Endpoint& endpoint : endpoints) {
      if (endpoint.process == no_index) {
        return std::nullopt;
      }
      has_both_ends = has_both_ends || endpoint.role == Role::listener ||
                      endpoint.inode != endpoints.front().inode;
      all &= libraries_of(endpoint.process);
      if (all == 0) {
        return std::nullopt;
      }
    }
    std::optional<Protocol> told;
    for (size_t i = 0; has_both_ends && i < std::size(libraries); i++) {
      if ((all >> i & 1U) != 0 && fits(libraries[i], channel)) {
        if (told) {
          return std::nullopt;
        }
        told = {libraries[i].protocol, libraries[i].name};
      }
    }
    return told;
  }

  [[nodiscard]] bool fits(const Library& library, const Channel& channel) const {
    const auto endpoints = snapshot_.endpoints_of(channel);
    return (library.unix_sockets || channel.kind != Kind::unix_socket) &&
           (library.server.empty() ||
            std::any_of(endpoints.begin(), endpoints.end(), [&](const Endpoint& each) {
              return snapshot_.processes[each.process].command() == library.server;
            }));
  }

  const Snapshot& snapshot_;
  const ProcRoot& proc_;
  std::vector<std::optional<LibrarySet>> known_;
};

}  // namespace

std::optional<Protocol> protocol_of_name(std::string_view name) {
  const std::string text(name);
  for (const WellKnownName& each : names) {
    if (::fnmatch(each.pattern, text.c_str(), FNM_PATHNAME) == 0) {
      return Protocol{each.protocol, protocol_from_path};
    }
  }
  return std::nullopt;
}

std::optional<Protocol> protocol_of_port(uint16_t port) {
  for (const WellKnownPort& each : ports) {
    if (each.port == port) {
      return Protocol{each.protocol, protocol_from_port};
    }
  }
  return std::nullopt;
}

Protocols find_protocols(const Snapshot& snapshot, std::span<const ChannelIndex> channels,
                         const ProcRoot& proc) {
  Protocols found;
  Search search(snapshot, proc);
  for (const ChannelIndex index : channels) {
    if (const auto protocol = search.find(snapshot.channels[index])) {
      found.emplace(index, *protocol);
    }
  }
  return found;
}

}  // namespace ipcscope
