// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "collectors/base/proc_root.h"

namespace ipcscope {

/// One line of /proc/PID/mountinfo (proc_pid_mountinfo(5)). The views point into the text.
struct MountLine {
  int id = 0;
  uint32_t device = 0;    ///< of the superblock, major << 20 | minor
  std::string_view root;  ///< within the file system; of nsfs what it binds, "net:[4026531840]"
  std::string_view point;
  std::string_view type;
};
std::optional<MountLine> parse_mountinfo_line(std::string_view line);

/// What matters of a file system type.
struct FilesystemType {
  /// stat answers from memory or a local disk: never asks a server or another process.
  bool local = false;
  uint32_t magic = 0;  ///< statfs f_type of the memory file systems, else 0
};
FilesystemType filesystem_type(std::string_view name);

struct Mount {
  uint32_t device = 0;
  bool local = false;
  uint32_t magic = 0;
};

/// Mounts by mnt_id, which is unique on the whole host (mnt_id_ida in fs/namespace.c). Loaded from
/// one process per mount namespace, because mountinfo shows one namespace. Thread-safe.
class MountTable {
 public:
  explicit MountTable(const ProcRoot& root);

  /// Nothing when it is mounted nowhere (an internal mount that is not known, or one that was
  /// detached lazily): then its files must not be touched.
  std::optional<Mount> find(int id, int pid, uint32_t mnt_ns);
  /// The devpts of a mount namespace, for a master that was opened through /dev/ptmx.
  std::optional<uint32_t> devpts(int pid, uint32_t mnt_ns);
  /// Makes an internal mount known.
  void learn(int id, const Mount& mount);
  /// The type of what is mounted with this superblock device; nothing when none is known.
  std::optional<Mount> by_device(uint32_t device, int pid, uint32_t mnt_ns);

 private:
  void load(int pid, uint32_t mnt_ns);
  bool load_once(int pid, uint32_t mnt_ns);
  void learn_internal();

  const ProcRoot& root_;
  std::mutex lock_;
  std::unordered_map<int, Mount> by_id_;
  std::unordered_map<uint32_t, Mount> by_device_;
  std::unordered_map<uint32_t, uint32_t> devpts_;  // by mount namespace
  std::unordered_map<uint32_t, int> loaded_;       // by mount namespace: processes read
  std::unordered_set<int> loaded_pids_;
};

}  // namespace ipcscope
