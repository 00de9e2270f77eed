// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <memory>
#include <optional>

#include "collectors/base/proc_root.h"
#include "collectors/base/result.h"
#include "collectors/model/snapshot.h"
#include "collectors/request.h"
#include "collectors/source.h"

namespace ipcscope {

/// Looks at the host again and again: what has to be loaded for that stays loaded.
class Session {
 public:
  /// proc has to live as long.
  explicit Session(const ProcRoot& proc) : proc_(proc) {}

  /// Loads what take() would load.
  void open(const Request& request);
  /// As take_snapshot(). The request may be another one each time.
  Result<Snapshot> take(const Request& request);
  /// Whether a Request::alone costs only as much as the processes that it is about; after open().
  [[nodiscard]] bool can_look_at_some() const { return bpf_ != nullptr && bpf_->can_confine(); }

 private:
  const ProcRoot& proc_;
  std::unique_ptr<Source> bpf_;
  std::optional<Error> refusal_;  ///< why there is no BPF source
};

/// One look at the host. Each part comes from the best source that request.source allows; what
/// could not be seen is in the snapshot's coverage. Fails only when nothing could be collected, or
/// when request.source asks for BPF and it cannot be had.
Result<Snapshot> take_snapshot(const Request& request, const ProcRoot& proc);

/// Who this host is and what time it is, for a report: time_ns is CLOCK_REALTIME, boot_ns
/// CLOCK_BOOTTIME.
void describe_host(std::string& host, std::string& kernel, int64_t& time_ns, int64_t& boot_ns);

}  // namespace ipcscope
