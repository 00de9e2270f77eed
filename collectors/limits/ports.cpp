// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/limits/ports.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <unordered_map>

#include "collectors/base/parse.h"

namespace ipcscope {

namespace {

/// The number behind a word of a line of sockstat: "TCP: inuse 5 orphan 0 tw 12 alloc 6 mem 1".
uint64_t number_behind(std::string_view line, std::string_view word) {
  while (!line.empty()) {
    if (next_word(line) == word) {
      return next_number<uint64_t>(line).value_or(0);
    }
  }
  return 0;
}

/// "0100007F:1F90" as "127.0.0.1:8080": words of the address in host byte order, the port not.
std::string address_text(std::string_view text) {
  const size_t colon = text.find(':');
  const auto port = parse_number<uint32_t>(
      colon == std::string_view::npos ? std::string_view() : text.substr(colon + 1), 16);
  unsigned char bytes[16] = {};
  constexpr size_t digits = 8;
  const size_t words = colon / digits;
  if (!port || (words != 1 && words != 4)) {
    return std::string(text);
  }
  for (size_t i = 0; i < words; i++) {
    const uint32_t word = parse_number<uint32_t>(text.substr(i * digits, digits), 16).value_or(0);
    std::memcpy(bytes + i * sizeof word, &word, sizeof word);
  }
  char out[INET6_ADDRSTRLEN] = {};
  ::inet_ntop(words == 1 ? AF_INET : AF_INET6, bytes, out, sizeof out);
  return words == 1 ? fmt::format("{}:{}", out, *port) : fmt::format("[{}]:{}", out, *port);
}

struct Connection {
  uint32_t port = 0;
  bool time_wait = false;
  uint64_t inode = 0;
};

constexpr uint32_t state_time_wait = 6, state_listen = 10;  // include/net/tcp_states.h

using Connections = std::unordered_map<std::string, std::vector<Connection>>;

/// "sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode" (net/ipv4/tcp_ipv4.c,
/// get_tcp4_sock). Keyed by the addresses and the remote port.
void take_table(std::string_view text, uint64_t first, uint64_t last, Connections& connections) {
  next_line(text);  // the headings
  while (!text.empty()) {
    std::string_view line = next_line(text);
    next_word(line);
    const std::string_view local = next_word(line);
    const std::string_view remote = next_word(line);
    const auto state = next_number<uint32_t>(line, 16);
    const size_t colon = local.find(':');
    if (!state || *state == state_listen || colon == std::string_view::npos) {
      continue;
    }
    const auto port = parse_number<uint32_t>(local.substr(colon + 1), 16);
    if (!port || *port < first || *port > last) {
      continue;
    }
    for (int i = 0; i < 5; i++) {
      next_word(line);
    }
    const uint64_t inode = next_number<uint64_t>(line).value_or(0);
    std::string key(local.substr(0, colon));
    key.append(1, ' ').append(remote);
    connections[key].push_back({*port, *state == state_time_wait, inode});
  }
}

}  // namespace

std::optional<TcpCounts> read_tcp_counts(const ProcRoot& proc, const std::string& whose) {
  const Result<std::string> four = proc.read(whose + "/net/sockstat");
  if (!four) {
    return std::nullopt;
  }
  const Result<std::string> six = proc.read(whose + "/net/sockstat6");
  TcpCounts counts;
  for (std::string_view text : {std::string_view(*four), six ? std::string_view(*six) : ""}) {
    while (!text.empty()) {
      const std::string_view line = next_line(text);
      if (line.starts_with("TCP: ") || line.starts_with("TCP6: ")) {
        counts.in_use += number_behind(line, "inuse");
        counts.time_wait += number_behind(line, "tw");
      }
    }
  }
  return counts;
}

uint64_t reserved_ports(std::string_view list, uint64_t first, uint64_t last) {
  uint64_t count = 0;
  for (std::string_view word = next_word(list, ",\n"); !word.empty();
       word = next_word(list, ",\n")) {
    const auto from = parse_number<uint64_t>(next_word(word, "-"));
    const auto to = word.empty() ? from : parse_number<uint64_t>(next_word(word, "-"));
    if (from && to && *from <= last && *to >= first && *from <= *to) {
      count += std::min(*to, last) - std::max(*from, first) + 1;
    }
  }
  return count;
}

std::optional<PortUse> read_port_use(const ProcRoot& proc, const std::string& whose, uint64_t first,
                                     uint64_t last) {
  Connections connections;
  bool any = false;
  for (const char* table : {"/net/tcp", "/net/tcp6"}) {
    if (const Result<std::string> text = proc.read(whose + table)) {
      any = true;
      take_table(*text, first, last, connections);
    }
  }
  if (!any) {
    return std::nullopt;
  }
  PortUse use;
  for (auto& [key, list] : connections) {
    // A port is taken by a living connection before it is by one in TIME_WAIT.
    std::sort(list.begin(), list.end(), [](const Connection& a, const Connection& b) {
      return a.port != b.port ? a.port < b.port : a.time_wait < b.time_wait;
    });
    list.erase(
        std::unique(list.begin(), list.end(),
                    [](const Connection& a, const Connection& b) { return a.port == b.port; }),
        list.end());
    if (list.size() <= use.ports) {
      continue;
    }
    use = {};
    use.ports = list.size();
    use.destination = address_text(std::string_view(key).substr(key.find(' ') + 1));
    for (const Connection& each : list) {
      use.time_wait += each.time_wait ? 1 : 0;
      if (each.inode != 0) {
        use.inodes.push_back(each.inode);
      }
    }
  }
  return use;
}

}  // namespace ipcscope
