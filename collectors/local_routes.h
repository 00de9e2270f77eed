// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace ipcscope {

/// An IPv4 or IPv6 address; IPv4 as its mapped IPv6 address.
using InetAddress = std::array<uint8_t, 16>;

/// The addresses that the network namespace of this process may deliver to itself, by its routes of
/// all tables: those of its interfaces, and what a transparent proxy takes for others.
class LocalRoutes {
 public:
  /// Asks the kernel (rtnetlink(7)) at the first question.
  [[nodiscard]] bool leads_elsewhere(const InetAddress& address);
  /// Takes the routes of one answer; false when it is the last one or malformed.
  bool parse(std::span<const std::byte> answer);
  [[nodiscard]] bool is_here(const InetAddress& address) const;

 private:
  enum class State : uint8_t { unread, read, failed };
  struct Route {
    InetAddress address{};
    uint8_t bits = 0;
  };
  bool read(int family);

  State state_ = State::unread;
  bool ended_ = false;  ///< the last answer was the end of them, not an error
  std::vector<Route> routes_;
};

}  // namespace ipcscope
