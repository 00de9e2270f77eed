// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "analysis/leaks.h"
#include "collectors/base/proc_root.h"
#include "collectors/removal/removal.h"

namespace ipcscope {

/// A kind of object that can be left behind.
struct LeakKind {
  std::string_view name;  ///< word of `leaks KIND`
  std::string_view noun;  ///< "segment"; the plural has an s
  const char* limit;      ///< below /proc, the file that limits their number; null: none
  unsigned word;          ///< which number in it
};
const std::vector<LeakKind>& leak_kinds();

/// Which objects a report is about. What is left empty does not restrict it.
struct LeakFilter {
  std::vector<std::string> kinds = {};
  std::optional<uid_t> user = std::nullopt;
  std::optional<uint32_t> name_space =
      std::nullopt;   ///< inode number, 0 ipcscope's own; nothing: of each
  bool live = false;  ///< also those that are in use
};

/// What was left out of a report, so that it is not silent about it.
struct LeftOut {
  size_t leaked = 0;
  size_t suspect = 0;
  [[nodiscard]] bool any() const { return leaked + suspect > 0; }
};

/// What `leaks` found and did.
struct LeakReport {
  const Snapshot& snapshot;
  const Leftovers& leftovers;
  std::vector<Leak> leaks;  ///< the worst first
  LeftOut other_namespaces, other_users;
  std::vector<uint64_t> limits;  ///< by leak_kinds(), 0 none
  /// With --clean, by leaks: whether it was to be removed, and what became of it.
  std::vector<bool> planned;
  std::vector<std::optional<Outcome>> outcomes;

  [[nodiscard]] size_t count(Verdict verdict) const;
};

/// Takes from leaks what passes the filter. own_user_only: other users' objects are counted as left
/// out, rather than not meant.
LeakReport make_leak_report(const Snapshot& snapshot, const Leftovers& leftovers,
                            std::vector<Leak> leaks, const LeakFilter& filter, bool own_user_only,
                            const ProcRoot& proc);

/// Whether --clean, with --force where it is only suspect, could remove it.
bool is_removable(const Leak& leak);
/// What the removal of leak has to look for.
Target make_target(const LeakReport& report, const Leak& leak);

}  // namespace ipcscope
