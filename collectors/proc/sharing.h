// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "collectors/proc/descriptors.h"

namespace ipcscope {

/// Which descriptors are the same open file description, by kcmp(2): identities that are replaced,
/// and by which. Compares only those that look alike, in an order that kcmp itself defines, so the
/// cost is n log n of the largest group. Without permission nothing is joined.
struct SharedIdentities {
  std::unordered_map<uint64_t, uint64_t> replaced;
  uint64_t refused = 0;  ///< descriptors that could not be compared
};
SharedIdentities find_shared(std::vector<SharedFile>& files);

/// Whether two processes have the same address space or descriptor table; false when that cannot
/// be told.
bool same_memory(int pid, int other);
bool same_table(int pid, int other);

}  // namespace ipcscope
