// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "collectors/model/snapshot.h"

namespace ipcscope {

/// What the kernel itself says of an object, whoever can or cannot be inspected.
struct ObjectFacts {
  /// No descriptor, mapping or message in flight refers to the file: a write lease on it was
  /// granted (Linux fs/locks.c, check_conflicting_open).
  std::optional<bool> unused;
  /// Of a shared memory object: its first page holds text and nothing else, as a file does.
  std::optional<bool> text;
  std::optional<uint32_t> undos;    ///< processes with an undo structure for this semaphore set
  std::optional<uint32_t> blocked;  ///< threads on the wait lists of this set or queue
};

/// A file in a directory where IPC leaves its traces.
struct PathFact {
  enum class Type : uint8_t { socket, fifo, lock_file };
  Type type = Type::socket;
  std::string path;         ///< as seen in its mount namespace; raw bytes
  uint32_t name_space = 0;  ///< mount namespace, 0: ipcscope's own
  uint32_t device = 0;      ///< as in records
  uint64_t inode = 0;
  uint32_t uid = 0;
  uint32_t mode = 0;        ///< with the type of the file
  int64_t change_time = 0;  ///< of its content or its inode, seconds since the epoch
  /// A socket is bound to it, a FIFO is open, a lock is held: nothing when that cannot be known.
  std::optional<bool> used;
  /// The process that a lock file names, as ipcscope's PID namespace numbers it; 0 for other types,
  /// and when nobody in the file's namespaces has that number. A lock file whose content names no
  /// process is left out.
  int32_t pid = 0;
};

/// A program that parks objects on purpose, recognised by a file that it keeps.
struct Instance {
  const char* software = "";  ///< "PostgreSQL", "Oracle", "SAP", "Apache httpd"
  /// Data directory; SID; SID_INSTANCE of SAP; runtime directory or "process 812" of httpd.
  std::string name;
  int32_t pid = 0;                ///< of its main process
  std::optional<bool> alive;      ///< nothing when it cannot be known
  std::optional<uint32_t> key;    ///< of its System V objects
  std::optional<int32_t> shm_id;  ///< of its segment
};

/// A process number that an object remembers, of a process that is not in the snapshot.
struct PidFact {
  bool exists = false;
  std::optional<uint64_t> start_ns;  ///< on the boot time clock
};

/// A process whose descriptors, mappings or threads could not be seen.
struct UnseenProcess {
  std::string name;                 ///< "process 1 (systemd)"
  int32_t pid = 0;                  ///< 0: it stands for all that cannot be listed
  std::vector<uint32_t> uids = {};  ///< whom it acts as, or may again; empty: unknown
  std::optional<uint64_t> start_ns = std::nullopt;  ///< on the boot time clock
};

/// What `leaks` asks of the host beyond the snapshot.
struct Leftovers {
  std::unordered_map<ChannelIndex, ObjectFacts> objects;
  std::vector<PathFact> paths;
  std::vector<Instance> instances;
  std::unordered_map<int32_t, PidFact> pids;
  std::vector<UnseenProcess> unseen;
  /// ipcscope runs in a PID namespace that has a parent: there are processes that it cannot see.
  bool processes_outside = false;
};

}  // namespace ipcscope
