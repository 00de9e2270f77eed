// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "collectors/base/proc_root.h"
#include "collectors/base/result.h"
#include "collectors/model/snapshot.h"

namespace ipcscope {

/// One object that is to be removed, as it was when it was judged. What is 0 or empty has no
/// meaning for its type.
struct Target {
  enum class Type : uint8_t { shm, sem, msg, posixshm, posixsem, mq, socket };
  Type type = Type::shm;
  std::string id;           ///< of the report, for messages and the manifest
  uint32_t name_space = 0;  ///< IPC namespace, or mount namespace of a path; 0: ipcscope's own
  std::vector<int> pids;    ///< processes that live in that namespace; one of them has to live
  std::string path;         ///< posixshm, posixsem, socket: full path; mq: name with the slash
  int32_t sysv_id = 0;
  uint32_t key = 0;
  uint32_t uid = 0, gid = 0, cuid = 0, cgid = 0, mode = 0;
  int32_t creator = 0, last = 0;  ///< shm: cpid, lpid; msg: lspid, lrpid
  /// In seconds: shm atime, dtime, ctime; sem otime, 0, ctime; msg stime, rtime, ctime; posixshm,
  /// posixsem 0, 0, ctime. A queue has none here: reading its file changes them.
  std::vector<int32_t> operators;  ///< sem: the last one of each semaphore; empty: unknown
  int64_t times[3] = {};
  /// shm, posixshm, posixsem: size; msg, mq: of all queued messages (msg_cbytes, QSIZE).
  uint64_t bytes = 0;
  uint64_t messages = 0;  ///< msg, mq: queued; sem: semaphores of the set
  uint64_t inode = 0;
  uint32_t device = 0;      ///< as in records
  bool allow_used = false;  ///< --force: remove it though somebody may still use it
};

struct Outcome {
  enum class State : uint8_t { removed, skipped, failed };
  State state = State::failed;
  /// Why not. Of a removed one normally empty: else what became of somebody who opened it in the
  /// very instant.
  std::string reason;
  std::string backup;  ///< directory that holds it; empty without one
};

struct RemovalOptions {
  std::string backup;  ///< directory below which a new one is made; empty: no backup
};

/// Removes targets one by one; tell is called once for each, with its place in targets, in no
/// particular order: the id of one may be another's in another namespace. Each object is
/// read again at the last moment and skipped with the reason when it is not what was judged or is
/// in use. With a backup, metadata and content are on the disk before the object goes; an
/// interruption at any instant leaves it in place or in the backup. Fails as a whole only before
/// anything was touched: the backup directory cannot be made. Each removal is told to syslog
/// (LOG_AUTHPRIV).
Result<void> remove_objects(const std::vector<Target>& targets, const RemovalOptions& options,
                            const ProcRoot& proc,
                            const std::function<void(size_t, const Outcome&)>& tell);

/// One object of a backup, and what became of it.
struct Restored {
  /// present: it was never removed, or an earlier call restored it.
  enum class State : uint8_t { restored, present, failed };
  State state = State::failed;
  std::string id;      ///< as it was
  std::string new_id;  ///< as it is now: a System V identifier may have changed
  std::string reason;  ///< empty unless failed
};

/// Recreates what a backup holds. path is its directory, its manifest, or a directory of backups.
/// What exists already is never overwritten. What was restored is noted in the manifest: after an
/// interruption another call goes on. Fails when path is no backup, or is in use by another
/// process.
Result<void> restore_objects(const std::string& path, const ProcRoot& proc,
                             const std::function<void(const Restored&)>& tell);

}  // namespace ipcscope
