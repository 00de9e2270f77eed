// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "collectors/base/fd.h"

namespace ipcscope::live {

using Seconds = std::chrono::seconds;

/// A child process with pipes at its standard descriptors. Never outlives this object.
class Program {
 public:
  /// Starts it. Where output is given, that file is its standard output instead of a pipe. Throws
  /// when it cannot be started: a test then fails with the reason.
  explicit Program(const std::vector<std::string>& command, int output = -1);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  /// What it prints up to its first newline, which is left out; all of it when it ends before.
  std::string read_line(Seconds limit);
  /// Waits until its standard error has the text. False when it has not in time, or it ended.
  bool await_error(std::string_view text, Seconds limit);
  /// Gives it more to read.
  void write_input(std::string_view text) const;
  /// The same of its standard error.
  std::string read_error_line(Seconds limit);
  /// All that it still prints on both outputs.
  void read_all(Seconds limit);
  void close_input() { input_.reset(); }
  void close_output() { output_.reset(); }
  /// Waits for its end: exit status, or 128 + signal; nothing when it has not ended in time.
  std::optional<int> wait(Seconds limit);
  /// For tests that leave nothing behind: SIGTERM, and SIGKILL where that does not help.
  void end();

  [[nodiscard]] const std::string& output() const { return out_; }
  [[nodiscard]] const std::string& errors() const { return err_; }

 private:
  /// False at the time limit, or when both are closed.
  bool read_some(std::chrono::steady_clock::time_point deadline);

  pid_t pid_ = 0;
  Fd handle_;  ///< pidfd
  std::optional<int> status_;
  Fd input_, output_, errors_;
  std::string out_, err_;
};

struct Outcome {
  int status = 0;  ///< exit status, or 128 + signal
  std::string output;
  std::string errors;
};

/// Runs a command to its end, within the limit. Throws when it takes longer.
Outcome run(const std::vector<std::string>& command, Seconds limit = Seconds(30), int output = -1);

/// `ipcscope` with arguments.
std::vector<std::string> ipcscope_command(std::vector<std::string> arguments);

}  // namespace ipcscope::live
