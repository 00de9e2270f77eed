// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "collectors/base/proc_root.h"
#include "collectors/model/limit_facts.h"

namespace ipcscope {

/// What the parts of collect_limits() have in common.
struct LimitGathering {
  LimitGathering(const Snapshot& from, const ProcRoot& root) : snapshot(from), proc(root) {}

  const Snapshot& snapshot;
  const ProcRoot& proc;
  bool live = false;  ///< proc is the kernel's: system calls agree with it
  /// Inode numbers of ipcscope's own namespaces.
  uint32_t own_ipc_ns = 0, own_net_ns = 0, own_mnt_ns = 0, own_pid_ns = 0, own_user_ns = 0;
  LimitFacts facts;
  /// By process of the snapshot, the index into facts.processes; no_index for a kernel thread.
  std::vector<uint32_t> limit_process;

  [[nodiscard]] const LimitProcess* process(ProcessIndex index) const {
    const uint32_t at = index < limit_process.size() ? limit_process[index] : no_index;
    return at == no_index ? nullptr : &facts.processes[at];
  }
  LimitFact& add(LimitId id, LimitPlace place) {
    LimitFact& fact = facts.facts.emplace_back();
    fact.id = id;
    fact.place = std::move(place);
    return fact;
  }
};

// The parts. gather_processes() comes first: the others need what it finds.
void gather_processes(LimitGathering& gathering);
void gather_host_limits(LimitGathering& gathering);
void gather_ipc_limits(LimitGathering& gathering);
void gather_net_limits(LimitGathering& gathering);
void gather_user_limits(LimitGathering& gathering);
void gather_cgroup_limits(LimitGathering& gathering);
void gather_shm_mounts(LimitGathering& gathering);

/// The numbers of a setting, such as sys/kernel/sem; empty when it cannot be read.
std::vector<uint64_t> numbers_of(std::string_view text);
std::vector<uint64_t> read_setting(const ProcRoot& proc, const char* path);
/// One of them; nothing when there is none.
inline std::optional<uint64_t> number_at(const std::vector<uint64_t>& numbers, size_t at) {
  return at < numbers.size() ? std::optional<uint64_t>(numbers[at]) : std::nullopt;
}

/// Adds up who uses how much.
class LimitTally {
 public:
  explicit LimitTally(const LimitGathering& gathering) : gathering_(gathering) {}
  void add_process(ProcessIndex process, uint64_t used) {
    by_process_[process] += used;
    total_ += used;
  }
  void add_user(uint32_t uid, uint64_t used) {
    by_user_[uid] += used;
    total_ += used;
  }
  [[nodiscard]] uint64_t total() const { return total_; }
  /// Those who use most.
  [[nodiscard]] std::vector<LimitUser> largest() const;

 private:
  const LimitGathering& gathering_;
  std::unordered_map<ProcessIndex, uint64_t> by_process_;
  std::unordered_map<uint32_t, uint64_t> by_user_;
  uint64_t total_ = 0;
};

/// Finds one attribute in many channels of a kind, which all have theirs in the same order.
class AttributeFinder {
 public:
  explicit AttributeFinder(std::string_view key) : key_(key) {}
  /// The number, or nothing where it is unknown.
  std::optional<uint64_t> number(const Snapshot& snapshot, const Channel& channel);
  /// The text, or nothing.
  std::string_view text(const Snapshot& snapshot, const Channel& channel);

 private:
  const Attribute* find(const Snapshot& snapshot, const Channel& channel);
  std::string_view key_;
  size_t at_ = 0;
};

/// The process at the first end of a channel that has one; no_index when nobody has it.
ProcessIndex first_process(const Snapshot& snapshot, const Channel& channel);

}  // namespace ipcscope
