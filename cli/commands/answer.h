// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/report.h"
#include "collectors/model/snapshot.h"

namespace ipcscope {

/// Tells a person what could not be seen, on the standard error, and returns the status of a
/// command that has answered. JSON carries its coverage itself.
int finish_answer(const Options& options, const Stage& stage,
                  const std::vector<Coverage>& coverage);
inline int finish_answer(const Options& options, const Stage& stage, const Snapshot& snapshot) {
  return finish_answer(options, stage, snapshot.coverage);
}

/// The same for a person at a terminal: on the standard output, below the answer.
int write_coverage_footer(const Options& options, const Stage& stage,
                          const std::vector<Coverage>& coverage);
inline int write_coverage_footer(const Options& options, const Stage& stage,
                                 const Snapshot& snapshot) {
  return write_coverage_footer(options, stage, snapshot.coverage);
}

/// The number of the process that a process or thread number belongs to; nothing when there is none
/// that can be seen.
std::optional<pid_t> process_of(const ProcRoot& proc, pid_t number);
/// Why pid cannot be a target: gone, hidden, or a thread. Empty when it can.
std::string missing_process(const ProcRoot& proc, pid_t pid);

}  // namespace ipcscope
