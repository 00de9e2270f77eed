// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/lost_peer.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "collectors/base/parse.h"
#include "collectors/proc/net_tables.h"

namespace ipcscope {

namespace {

constexpr uint16_t tcp_established = 1;

/// Takes "ADDRESS:PORT" off the front of a text, and the "-" after it.
std::string_view take_address(std::string_view& text) {
  const std::string_view name = text.substr(0, text.find('-'));
  text.remove_prefix(std::min(text.size(), name.size() + 1));
  return name.substr(0, name.rfind(':'));
}

/// Nothing when one of the tables cannot be read.
std::optional<std::vector<InetFacts>> read_connections(const ProcRoot& proc, int pid) {
  std::vector<InetFacts> all;
  for (const auto& [name, family] : {std::pair("tcp", AF_INET), {"tcp6", AF_INET6}}) {
    const Result<std::string> text = proc.read(fmt::format("{}/net/{}", pid, name));
    if (!text) {
      if (family == AF_INET6) {  // a kernel without IPv6
        continue;
      }
      return std::nullopt;
    }
    std::string_view rest = *text;
    while (!rest.empty()) {
      const std::string_view line = next_line(rest);
      if (const auto facts =
              parse_net_inet(line, static_cast<uint16_t>(family), uint16_t{IPPROTO_TCP})) {
        all.push_back(*facts);
      }
    }
  }
  return all;
}

}  // namespace

bool is_within_host(std::string_view id) {
  id.remove_prefix(std::min(id.size(), id.find(':') + 1));  // the kind
  const std::string_view local = take_address(id);
  const std::string_view remote = take_address(id);
  return !remote.empty() && (remote == local || remote.starts_with("127.") || remote == "[::1]");
}

bool has_lost_peer(const ProcRoot& proc, int pid, uint64_t inode) {
  const auto all = read_connections(proc, pid);
  if (!all) {
    return false;
  }
  const auto own = std::find_if(all->begin(), all->end(),
                                [&](const InetFacts& each) { return each.inode == inode; });
  return own != all->end() && own->state == tcp_established &&
         std::none_of(all->begin(), all->end(), [&](const InetFacts& each) {
           return each.local_port == own->remote_port && each.remote_port == own->local_port;
         });
}

}  // namespace ipcscope
