// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "collectors/base/identity_map.h"
#include "collectors/base/proc_root.h"
#include "collectors/proc/descriptors.h"
#include "collectors/proc/socket_facts.h"
#include "collectors/request.h"
#include "collectors/source.h"

namespace ipcscope {

/// The sockets of every network namespace that was loaded, by inode.
class SocketTable {
 public:
  SocketTable(const ProcRoot& root, bool live) : root_(root), live_(live) {}

  /// Reads one namespace, through a process that is in it. kinds: what the request wants.
  void load(int pid, uint32_t net_ns, const Request& request);
  /// After the last load(): joins peers.
  void finish();
  [[nodiscard]] Coverage coverage() const;

  /// Emits the record of a descriptor that is a socket. A socket that no table has is described by
  /// its protocol's name, or not at all.
  void emit(const SocketDescriptor& descriptor, const RecordSink& sink);
  /// Emits the sockets that no descriptor was seen of: those of processes that cannot be read, and
  /// those inside a queue. Their pid is 0 and their fd -1.
  /// wanted: only these inodes; nullptr: all.
  void emit_unseen(const RecordSink& sink, const std::unordered_set<uint64_t>* wanted);
  /// Inodes of the other ends of the sockets in inodes.
  [[nodiscard]] std::vector<uint64_t> peers_of(const std::vector<uint64_t>& inodes) const;

 private:
  struct Entry {
    enum class Kind : uint8_t { unix_socket, inet, other } kind;
    bool seen = false;
    uint32_t index = 0;
  };
  void add_entry(uint64_t inode, Entry::Kind kind, size_t index);
  const Entry* find(uint64_t inode) const;
  bool load_by_diag(int pid, uint32_t net_ns, bool own, const Request& request);
  void load_tables(int pid, uint32_t net_ns, const Request& request);
  void load_table(int pid, const char* name, uint32_t net_ns);
  void add_unix(const UnixFacts& facts);
  void emit_unix(const file_record& file, uint32_t scm_fds, const UnixFacts& facts,
                 const RecordSink& sink) const;
  static void emit_inet(const file_record& file, const InetFacts& facts, const RecordSink& sink);
  static void emit_other(const file_record& file, const OtherFacts& facts, const RecordSink& sink);
  void emit_by_name(const SocketDescriptor& descriptor, const RecordSink& sink);
  void complain(std::string what, std::string hint);

  const ProcRoot& root_;
  bool live_;
  std::vector<UnixFacts> unix_;
  std::vector<InetFacts> inet_;
  std::vector<OtherFacts> other_;
  std::vector<Entry> entries_;
  IdentityMap by_inode_;
  std::unordered_map<uint64_t, size_t> listeners_;  // of those that wait in a backlog, by inode
  std::unordered_map<uint32_t, uint32_t> datagrams_max_;  // by namespace
  uint64_t name_spaces_ = 0;
  uint64_t unreadable_ = 0;
  uint64_t unnamed_ = 0;
  std::string reason_;
  std::string hint_;
  std::set<std::string> missing_;
};

}  // namespace ipcscope
