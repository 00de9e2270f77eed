// SPDX-License-Identifier: GPL-2.0-or-later
//
// Whether an answer shows what a fixture did.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "cli/selftest/catalogue.h"

namespace ipcscope {

/// What ipcscope is asked while fixtures hold.
enum class Question : unsigned char {
  channels,  ///< ls -p PIDS
  objects,   ///< ls of the kinds that may have no process
  stuck,     ///< why, without a time limit
  chains,    ///< why TIDS
  leaks,
  limits,
  processes,  ///< show PIDS
  locks,      ///< measured while the fixture works
  trace,      ///< the same
};

/// One answer.
struct Answer {
  int status = 0;
  std::string errors = {};
  JsonDocument json = {};  ///< the object that was printed, of trace an array of all; null: none
  double took_ms = 0;      ///< from the question to the answer
};
using Answers = std::map<Question, Answer>;

/// What a fixture says of itself.
struct FixtureTruth {
  JsonDocument held;  ///< its first line
  JsonDocument did;   ///< its second, null where it only holds

  /// Its processes and players.
  [[nodiscard]] std::set<int64_t> pids() const;
  /// The threads that it speaks of, or its processes.
  [[nodiscard]] std::set<int64_t> tids() const;
  /// False where it says so itself.
  [[nodiscard]] bool is_reproduced() const;
};

/// What has to be asked for a sight. Empty: there is no such command.
std::vector<Question> questions_of(const FixtureSight& sight);

/// Whether the answers show the fixture so. "A|B": one of both.
bool is_shown(const FixtureSight& sight, const FixtureTruth& truth, const Answers& answers);

/// What trace says of operations that this kernel never shows it, where those of the sight are
/// among them: the word before the last underline names the sort, of "io_uring_submit" or
/// "signal_generate". Empty: they are not.
std::string missing_tracepoint(const FixtureSight& sight, const JsonValue& traced);

/// Everything that the truth of a channel says is in the other. Unknown facts are no contradiction
/// where accepts_unknown says so.
bool agrees(const JsonValue& truth, const JsonValue& channel, bool accepts_unknown);

}  // namespace ipcscope
