// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "collectors/model/leftovers.h"
#include "collectors/model/snapshot.h"

namespace ipcscope {

enum class Verdict : uint8_t {
  leaked,   ///< everything was seen, and nothing can use it any more
  suspect,  ///< looks left behind, but something could not be seen or speaks against it
  info,     ///< worth knowing, never removed
  live,     ///< somebody uses it
};
std::string_view verdict_name(Verdict verdict);

/// One thing that speaks for or against an object having been left behind.
struct LeakEvidence {
  const char* fact;        ///< key in JSON: "creator", "attached", "undo", "blocked", "age", ...
  std::string text;        ///< "process 812 ended", "nobody has it attached"; raw bytes
  Verdict allows;          ///< the best verdict that this fact leaves open
  std::string brief = {};  ///< the text for a column; empty: all of it
  [[nodiscard]] const std::string& shortest() const { return brief.empty() ? text : brief; }
};

struct Leak {
  Verdict verdict = Verdict::leaked;  ///< until a fact speaks against it
  const char* rule = "";              ///< as in ipcscope-findings(7): "leaked-shm", ...
  ChannelIndex channel = no_index;    ///< in the snapshot; no_index for a path
  const PathFact* path = nullptr;     ///< into Leftovers::paths; null for a channel
  std::string id;                     ///< "shm:5", "unix:/run/x", "fifo:/run/x", "file:/run/x.pid"
  std::string kind;                   ///< word of `ls KIND`, or "file"
  uint32_t name_space = 0;            ///< inode number, 0: ipcscope's own
  std::optional<uint32_t> uid;        ///< owner
  std::optional<int32_t> creator;     ///< pid, where the kernel keeps it
  std::string creator_text;           ///< "812, ended", "812, now another process (bash)"
  std::optional<uint64_t> bytes;      ///< memory that it takes
  std::optional<uint64_t> age_s;      ///< since it was last used or changed
  std::string lost;                   ///< what a removal would lose: "3 messages, 120 bytes"
  std::vector<LeakEvidence> evidence;

  /// Adds a fact; the verdict becomes the worst that all facts together leave open.
  void add(const char* fact, std::string text, Verdict allows, std::string brief = {});
  /// The first fact that decided the verdict; null when there is none.
  [[nodiscard]] const LeakEvidence* deciding() const;
};

struct LeakQuery {
  std::optional<uint64_t> min_age_s;  ///< younger ones are suspects; nothing: each rule's own
  int32_t own_pid = 0;                ///< ipcscope's: whatever remembers it, remembers another
};

/// Judges every object that can be left behind. The order is that of the snapshot, paths last. Does
/// no I/O. Each rule is documented in ipcscope-findings(7).
std::vector<Leak> find_leaks(const Snapshot& snapshot, const Leftovers& leftovers,
                             const LeakQuery& query);

}  // namespace ipcscope
