// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "collectors/base/proc_root.h"
#include "collectors/trace/decoder.h"

namespace ipcscope {

/// Names of channels that are there now: what the kernel did not say is looked up in /proc, once
/// for each channel.
class LiveTraceNames final : public TraceNames {
 public:
  explicit LiveTraceNames(const ProcRoot& proc);
  TraceName name(const trace_channel_record& record, int32_t pid) override;
  TraceName futex(int32_t pid, uint64_t address, bool is_private) override;

 private:
  /// A shared mapping of a process.
  struct Mapping {
    uint64_t start = 0, end = 0, offset = 0, inode = 0;
    std::string path;
  };
  const Mapping* find_mapping(int32_t pid, uint64_t address);
  void read_mappings(int32_t pid);
  [[nodiscard]] std::string descriptor_path(const trace_channel_record& record, int32_t pid,
                                            int32_t fd) const;
  [[nodiscard]] std::string path(const trace_channel_record& record, int32_t pid) const;
  [[nodiscard]] std::string shm_entry(uint64_t inode) const;
  [[nodiscard]] TraceName shm_name(const trace_channel_record& record) const;

  const ProcRoot& proc_;
  uint32_t own_ipc_ns_ = 0, own_net_ns_ = 0;
  std::unordered_map<int32_t, std::vector<Mapping>> mappings_;
};

/// "tcp:127.0.0.1:80-127.0.0.1:4001", as `ls` has it: within the host the lesser address comes
/// first. suffix: "@4026531840" of a namespace that is not our own.
std::string inet_id(std::string_view kind, const trace_inet& inet, std::string_view suffix);

}  // namespace ipcscope
