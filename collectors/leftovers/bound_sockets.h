// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "collectors/base/fd.h"
#include "collectors/base/proc_root.h"
#include "collectors/model/leftovers.h"

namespace ipcscope {

/// The files that UNIX sockets of any network namespace are bound to.
class BoundSockets {
 public:
  /// Asks every network namespace of the snapshot, and those that are bound at paths (of ipcscope's
  /// own mount namespace), which may have no process. unseen: processes that the snapshot lacks.
  /// Coverage: "bound-sockets".
  void load(const Snapshot& snapshot, const ProcRoot& proc, const std::vector<std::string>& paths,
            const std::vector<int>& unseen, std::vector<Coverage>& coverage);

  /// Whether a socket is bound to this file; nothing when that is not certain. odd_numbers: stat()
  /// and the kernel's tables do not agree on device and inode there.
  [[nodiscard]] std::optional<bool> is_bound(std::string_view path, uint32_t device, uint64_t inode,
                                             bool odd_numbers) const;

  /// For load() and tests: one bound socket; without file only its name is known.
  void add(uint64_t socket, std::string_view name,
           std::optional<std::pair<uint32_t, uint32_t>> file);
  /// For load() and tests: some network namespace could not be looked into.
  void set_incomplete() { complete_ = false; }

 private:
  void add_table(const ProcRoot& proc, const std::string& owner, bool names_only);
  void dump(int netlink, const ProcRoot& proc, const std::string& owner);

  std::unordered_set<uint64_t> files_;    ///< device and low 32 bits of the inode number
  std::unordered_set<uint32_t> inodes_;   ///< those bits alone
  std::unordered_set<uint64_t> sockets_;  ///< by number, those that were told with their file
  std::unordered_set<std::string> names_;
  std::unordered_set<std::string> last_names_;  ///< last components of names_
  std::unordered_set<std::string> unlocated_;   ///< the same of sockets whose file is not known
  bool complete_ = true;
  uint64_t name_spaces_ = 0;
  uint64_t unreadable_ = 0;
  std::string reason_;
};

}  // namespace ipcscope
