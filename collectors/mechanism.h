// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <memory>
#include <span>

#include "bpf/record.h"
#include "bpf/thread.h"
#include "collectors/base/proc_root.h"
#include "collectors/model/builder.h"
#include "collectors/request.h"

namespace ipcscope {

/// A number of a record, nothing where the source could not tell.
inline std::optional<uint64_t> known(u64 value) {
  return value == UNKNOWN_U64 ? std::nullopt : std::optional<uint64_t>(value);
}
inline std::optional<uint32_t> known32(u32 value) {
  return value == UNKNOWN_U32 ? std::nullopt : std::optional<uint32_t>(value);
}

/// The inode number of an own namespace, "net" for instance; 0 when it cannot be told.
uint32_t own_namespace(const char* kind);

/// What a mechanism has at hand while it turns records into channels.
class Assembly {
 public:
  Assembly(SnapshotBuilder& to, const ProcRoot& root, const Request& asked);

  SnapshotBuilder& builder;
  const ProcRoot& proc;
  const Request& request;
  uint64_t page_size;
  /// Inode numbers of ipcscope's own namespaces.
  uint32_t own_ipc_ns = 0, own_net_ns = 0, own_mnt_ns = 0, own_pid_ns = 0;

  /// Adds the thread, and the process when it is the first of it.
  void add_thread(const thread_record& thread);
  /// Ends the files of a process: they could be read.
  void set_fd_count(const fd_count_record& count);
  /// The process of a record, known since its leader's thread record; no_index when it is not.
  [[nodiscard]] ProcessIndex process(uint32_t pid) const;
  /// The thread with this tid, no_index when it was not seen.
  [[nodiscard]] ThreadIndex thread(uint32_t tid) const;
  [[nodiscard]] const Process& process_at(ProcessIndex index) const;
  /// Adds an endpoint for a descriptor (fd < 0: a file that only sits in a socket's queue).
  void add_endpoint(ChannelIndex channel, const file_record& file, Role role,
                    uint8_t access = access_none, uint32_t inode = 0);
  /// The path of an open file as its process sees it, " (deleted)" included where the kernel says
  /// so; empty when it cannot be told. Never touches the file.
  [[nodiscard]] std::string path(const file_record& file) const;
  /// value as Channel::name_space wants it: 0 for our own.
  static uint32_t foreign(uint32_t value, uint32_t own) {
    return value == own || value == UNKNOWN_U32 ? 0 : value;
  }
  void cover(Coverage coverage) { builder.snapshot().coverage.push_back(std::move(coverage)); }

 private:
  std::unordered_map<uint32_t, ProcessIndex> by_pid_;
  std::unordered_map<uint32_t, ThreadIndex> by_tid_;
};

/// One stem of collectors/: knows one family of channels.
class Mechanism {
 public:
  virtual ~Mechanism() = default;
  /// A record of one of the kinds that the table lists for this stem.
  virtual void take(const record& fact, Assembly& assembly) = 0;
  /// After the last record: joins ends, looks up names, adds objects that no process has open.
  virtual void finish(Assembly& assembly) = 0;
};

/// A line of the one table in mechanisms.cpp.
struct MechanismEntry {
  const char* stem;
  std::span<const Kind> kinds;           ///< channels that it makes
  std::span<const record_kind> records;  ///< facts that it takes
  std::unique_ptr<Mechanism> (*make)();
};

std::span<const MechanismEntry> mechanism_table();

}  // namespace ipcscope
