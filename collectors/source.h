// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <functional>
#include <vector>

#include "bpf/record.h"
#include "collectors/base/result.h"
#include "collectors/model/snapshot.h"
#include "collectors/request.h"

namespace ipcscope {

/// Takes one record; the record is only valid during the call.
using RecordSink = std::function<void(const record&)>;

/// Where records come from. The thread record of a group leader comes before the files of its
/// process. Each part reports what it could not see as Coverage; it fails as a whole only when
/// nothing of it can be had, so that the caller can turn to another source for that part.
class Source {
 public:
  virtual ~Source() = default;
  /// Threads, and the descriptors of their processes with what they refer to.
  virtual Result<void> walk(const Request& request, const RecordSink& sink,
                            std::vector<Coverage>& coverage) = 0;
  /// Shared mappings.
  virtual Result<void> mappings(const Request& request, const RecordSink& sink,
                                std::vector<Coverage>& coverage) = 0;
  /// Whether nothing that was not seen can have to do with the processes of the request.
  [[nodiscard]] virtual bool is_proved() const { return false; }
  /// Whether Request::alone spares it the rest of the host.
  [[nodiscard]] virtual bool can_confine() const { return false; }
};

}  // namespace ipcscope
