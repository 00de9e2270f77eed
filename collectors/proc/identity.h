// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>

#include "bpf/record.h"

namespace ipcscope {

/// What a made-up identity stands for. Numbers of different things must never meet.
enum class IdentityOf : uint64_t {
  inode = 1,   ///< (device, inode)
  sysv_shm,    ///< (IPC namespace, segment id)
  sock,        ///< (inode of the socket, 0)
  embryo,      ///< the unaccepted peer of (inode of the socket, 0)
  descriptor,  ///< (pid, fd): a description of which no other descriptor is known
  eventfd,     ///< (eventfd-id, 0)
  pty,         ///< (device of its devpts, index)
  memory,      ///< (pid, 0)
  table,       ///< (pid, 0)
};

/// /proc shows no kernel addresses: a 64-bit number that is the same whenever what it is made from
/// is, and never 0 or UNKNOWN_U64. Two different ones meet with a probability of 2^-64.
constexpr uint64_t made_identity(IdentityOf what, uint64_t first, uint64_t second = 0) {
  // The finaliser of splitmix64, once for each part.
  auto mixed = [](uint64_t value) {
    value ^= value >> 30;
    value *= 0xbf58476d1ce4e5b9ULL;
    value ^= value >> 27;
    value *= 0x94d049bb133111ebULL;
    return value ^ value >> 31;
  };
  uint64_t value = mixed(static_cast<uint64_t>(what) * 0x9e3779b97f4a7c15ULL + first);
  value = mixed(value + 0x9e3779b97f4a7c15ULL + second);
  return value == 0 || value == UNKNOWN_U64 ? 1 : value;
}

}  // namespace ipcscope
