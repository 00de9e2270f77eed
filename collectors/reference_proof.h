// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "bpf/references.h"
#include "bpf/shmem.h"
#include "bpf/socket.h"
#include "bpf/thread.h"
#include "collectors/local_routes.h"

namespace ipcscope {

/// Proves that nobody else has to do with what a few chosen processes have, by the references that
/// the kernel counts: when each of them was found, there is nobody to look for. As long as some
/// miss, it tells which process to look at next.
///
/// What the kernel counts beside descriptors and mappings (system calls on their way, messages in
/// queues, rings) only makes the proof fail.
class ReferenceProof {
 public:
  /// @param is_elsewhere whether a connection to that address, in the network namespace with that
  ///        number, certainly leaves the namespace
  using IsElsewhere = std::function<bool(const InetAddress& address, uint32_t net_ns)>;
  ReferenceProof(std::vector<uint32_t> chosen, IsElsewhere is_elsewhere);

  /// The threads of all processes come first.
  void take_thread(const thread_record& thread);
  /// Any record about a file of the chosen processes, then of those that next() named.
  void take(const record& fact);
  void take_mapping(const mapping_record& mapping);

  [[nodiscard]] bool is_complete() const;
  /// The process that most probably holds what misses and was not named before; 0: there is none
  /// that is better than any other.
  [[nodiscard]] uint32_t next();

  /// What is left to look for, when a look at every descriptor for these files and dentries, and at
  /// every mapping if memory is among it, finds all that there is.
  struct Missing {
    std::vector<uint64_t> files, dentries;
    bool memory = false;
  };
  /// Nothing when there can be more than that.
  [[nodiscard]] std::optional<Missing> missing() const;

 private:
  struct Task {
    uint32_t pid = 0, parent = 0;
    uint64_t start_ns = 0, mm = 0, files = 0, credentials = 0;
  };
  struct File {
    uint64_t credentials = 0;
    uint32_t count = 0, seen = 0;
    uint64_t object = 0;
    [[nodiscard]] bool is_accounted() const { return count != UNKNOWN_U32 && seen >= count; }
  };
  struct Object {
    uint32_t openings = 0, seen = 0;
    bool terminal = false, memory = false;
    [[nodiscard]] bool is_accounted() const { return openings != UNKNOWN_U32 && seen >= openings; }
  };
  /// A TCP or UDP connection as one of its ends sees it.
  struct Connection {
    InetAddress local{}, remote{};
    uint32_t net_ns = 0, ports = 0;  ///< local << 16 | remote
    uint16_t protocol = 0;
    bool operator==(const Connection&) const = default;
  };
  struct ConnectionHash {
    size_t operator()(const Connection& of) const;
  };
  /// Where a reference is: a descriptor of a table, or an address of an address space.
  struct Place {
    uint64_t space = 0, at = 0;
    bool operator==(const Place&) const = default;
  };
  struct PlaceHash {
    size_t operator()(const Place& of) const { return (of.space ^ of.at) * 0x9e3779b97f4a7c15ULL; }
  };

  File* take_references(const references& found, const Place* place, bool chosen);
  void take_connection(const inet_record& found, bool chosen);
  [[nodiscard]] bool are_connections_known() const;
  [[nodiscard]] const Task* task(uint32_t pid) const;
  [[nodiscard]] bool is_known(uint32_t pid) const;
  [[nodiscard]] uint32_t sharer() const;
  [[nodiscard]] uint32_t opener() const;
  [[nodiscard]] uint32_t kin() const;

  std::vector<uint32_t> chosen_, known_;  ///< known_: the chosen ones and those that were named
  IsElsewhere is_elsewhere_;
  bool is_hopeless_ = false;  ///< a chosen thread waits for what its descriptors do not tell
  std::vector<Task> tasks_;
  std::unordered_map<uint32_t, size_t> by_pid_;
  std::unordered_map<uint64_t, File> files_;
  std::unordered_map<uint64_t, Object> objects_;
  std::unordered_set<Place, PlaceHash> places_;
  std::vector<Connection> connections_;  ///< of the chosen processes
  std::unordered_set<Connection, ConnectionHash> ends_;
};

}  // namespace ipcscope
