// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "collectors/base/fd.h"
#include "collectors/base/result.h"

namespace ipcscope {

/// Set when a signal asks this program to end: every wait for a program then ends at once.
extern std::atomic<bool> programs_are_to_end;

/// A child with pipes at its standard descriptors, and no signal blocked. Never outlives this
/// object: its input ends, then it is asked to end, and killed where that does not help.
class Program {
 public:
  using Clock = std::chrono::steady_clock;

  static Result<Program> start(const std::vector<std::string>& command);
  ~Program() { end(); }
  Program(Program&& other) noexcept;
  Program& operator=(Program&&) = delete;
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  /// What it prints next up to a newline, which is left out; nothing when it ends or the time is
  /// over before.
  std::optional<std::string> read_line(int limit_ms);
  /// Waits until its standard error has the text.
  bool await_error(std::string_view text, int limit_ms);
  /// False when it does not read any more.
  [[nodiscard]] bool write_input(std::string_view text) const;
  /// All that it still prints until it closes its outputs.
  void read_all(int limit_ms);
  void close_input() { input_.reset(); }
  void send(int signal) const;
  /// Its exit status, or 128 + signal; nothing while it runs.
  std::optional<int> wait(int limit_ms);
  void end();

  [[nodiscard]] const std::string& output() const { return out_; }
  [[nodiscard]] const std::string& errors() const { return err_; }

 private:
  Program() = default;
  /// False at the time limit, or when both are closed.
  bool read_some(Clock::time_point deadline);

  pid_t pid_ = 0;
  std::optional<int> status_;
  Fd input_, output_, errors_;
  std::string out_, err_;
};

struct ProgramOutcome {
  int status = 0;  ///< exit status, or 128 + signal
  std::string output;
  std::string errors;
};

/// Runs a command to its end. An error when it cannot be started or takes longer.
Result<ProgramOutcome> run_program(const std::vector<std::string>& command, int limit_ms);

}  // namespace ipcscope
